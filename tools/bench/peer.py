"""A contender of `tools.bench.store`: a process with the interpreter that has what it needs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
_START = f"import sys; sys.path.append({str(ROOT)!r}); from tools.bench.worker import main; main()"


class PeerError(Exception):
    """A contender cannot be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Interpreters:
    """Which Python runs whom.

    Attributes
    ----------
    peers : has torchcodec and decord.
    loopbio : has loopbio's imgstore.
    """

    peers: Path
    loopbio: Path

    def of(self, name: str) -> Path:
        """Return the interpreter of a contender. Raises PeerError if there is none."""
        if name in ("ethostore", "bare", "opencv"):
            return Path(sys.executable)
        python, script = (self.loopbio, "loopbio") if name == "upstream" else (self.peers, "peers")
        if not python.exists():
            raise PeerError(f"there is no {python}; tools/{script}.sh makes one")
        return python


class Peer:
    """A running contender, which answers one request at a time."""

    def __init__(self, name: str, interpreters: Interpreters) -> None:
        self.name = name
        python = interpreters.of(name)
        is_ours = python == Path(sys.executable)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by `close`
        self._process = subprocess.Popen(
            [str(python), "-P", "-c", _START, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=environment | ({"PYTHONPATH": str(ROOT)} if is_ours else {}),
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request. Raises PeerError if it cannot be done."""
        if self._process.stdin is None or self._process.stdout is None:
            raise PeerError("it has no pipes")
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "unable" in answer:
            raise PeerError(answer["unable"])
        return answer

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()
        self._said.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return lines[-1] if lines else f"with exit status {self._process.returncode}"


def versions(peer: Peer) -> Mapping[str, str]:
    """Return the versions of what a contender runs. Raises PeerError if it does not start."""
    found: Mapping[str, str] = peer.ask(do="hello")["versions"]
    return found
