"""A contender of a benchmark: a process with the interpreter that has what it needs, and what runs in it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

ROOT = Path(__file__).parents[2]
_START = f"import sys; sys.path.append({str(ROOT)!r}); from tools.bench.{{}} import main; main()"

Answer: TypeAlias = dict[str, Any]


class PeerError(Exception):
    """A contender cannot be measured; the message says why."""


class UnableError(Exception):
    """The contender cannot do that; the message says why."""


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
    """A running contender, which answers one request at a time.

    Parameters
    ----------
    name : of the contender.
    python : runs it.
    worker : module of `tools.bench` whose `main` answers.
    """

    def __init__(self, name: str, python: Path, worker: str = "worker") -> None:
        self.name = name
        is_ours = python == Path(sys.executable)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by `close`
        self._process = subprocess.Popen(
            [str(python), "-P", "-c", _START.format(worker), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=environment | ({"PYTHONPATH": str(ROOT)} if is_ours else {}),
        )

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def ask(self, **request: Any) -> Answer:
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
        answer: Answer = json.loads(line)
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


def serve(make: Callable[[], Callable[[Answer], Answer]]) -> None:
    """Answer requests until the input ends: a line of JSON each.

    Parameters
    ----------
    make : returns what answers. UnableError is an answer, and whatever else is raised.
    """
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    answer_to = make()
    for line in sys.stdin:
        try:
            answer = answer_to(json.loads(line))
        except UnableError as exc:
            answer = {"unable": str(exc)}
        except Exception as exc:  # noqa: BLE001  # whatever a library of others raises is its result
            answer = {"unable": f"failed: {type(exc).__name__}: {exc}"}
        replies.write(json.dumps(answer) + "\n")


def installed(package: str) -> str:
    """Return the version of a package in this environment."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "checkout"
