"""Look for cameras, each kind in a process of its own: a vendor's library may hang or crash."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass

from hardware.camera import FINDERS, CameraFinder, CameraIdentity, FoundCamera
from hardware.errors import HardwareError, SettingError
from imgstore import MissingDependencyError, Registry

DEFAULT_LIMIT_S = 15.0

_END_S = 1.0  # that a killed process may take to go
_LONGEST_REASON = 300
_LONGEST_S = 86_400
_CHILD = "import sys; from hardware.discovery import child; child(sys.argv[1], float(sys.argv[2]))"


@dataclass(frozen=True, slots=True)
class CameraSearch:
    """What the search for one kind of camera came to.

    Attributes
    ----------
    kind : its name in the table of finders, "opencv".
    cameras : that were found.
    problem : why it could not be searched; empty if it could.
    missing : whether that is because a library is not installed.
    """

    kind: str
    cameras: tuple[FoundCamera, ...] = ()
    problem: str = ""
    missing: bool = False


def find_cameras(
    kinds: Sequence[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
) -> list[CameraSearch]:
    """Look for the cameras that are connected, for all kinds at the same time.

    Parameters
    ----------
    kinds : names of FINDERS; None for all.
    limit_s : seconds after which a search that has not ended is given up.

    Raises UnknownNameError for a kind that is none, SettingError. What goes wrong in a search is in its
    `problem`.
    """
    if not 0 < limit_s < float("inf"):
        raise SettingError(f"the time limit of a search is a number of seconds above 0, not {limit_s}")
    chosen = FINDERS.names() if kinds is None else list(dict.fromkeys(kinds))
    for kind in chosen:
        if kind not in FINDERS:
            FINDERS.get(kind)  # raises, with the nearest name
    return run_searches({kind: child_command(kind, limit_s) for kind in chosen}, limit_s)


def run_searches(commands: Mapping[str, Sequence[str]], limit_s: float) -> list[CameraSearch]:
    """Run all searches at the same time, and return what each came to.

    Parameters
    ----------
    commands : for each kind, what prints what `child` prints.
    limit_s : seconds after which those that have not ended are killed.
    """
    deadline = time.monotonic() + limit_s
    with ExitStack() as stack:
        children = {kind: stack.enter_context(_Child(command)) for kind, command in commands.items()}
        return [_collect(kind, one, deadline, limit_s) for kind, one in children.items()]


def child_command(kind: str, limit_s: float) -> list[str]:
    """Return the command that searches one kind of camera in a process of its own."""
    return [sys.executable, "-c", _CHILD, kind, str(limit_s)]


def child(kind: str, limit_s: float, finders: Registry[CameraFinder] = FINDERS) -> None:
    """Search one kind of camera and print what was found, as JSON; the body of the process.

    Whatever libraries print goes to the standard error stream. The process ends itself some time after the
    limit, should nobody be left to do it.
    """
    signal.alarm(int(min(limit_s, _LONGEST_S)) + 10)
    answer = os.dup(1)
    os.dup2(2, 1)
    text = json.dumps(search_here(kind, finders))
    with os.fdopen(answer, "w") as stream:
        stream.write(text)
        stream.flush()
    os._exit(0)  # a library that does not let go at the end has nothing more to say


def search_here(kind: str, finders: Registry[CameraFinder] = FINDERS) -> dict[str, object]:
    """Search one kind of camera in this process; return a CameraSearch as plain values."""
    try:
        found = tuple(finders.get(kind)())
    except MissingDependencyError as exc:
        return asdict(CameraSearch(kind, problem=str(exc), missing=True))
    except (HardwareError, OSError) as exc:
        return asdict(CameraSearch(kind, problem=str(exc) or type(exc).__name__))
    return asdict(CameraSearch(kind, found))


class _Child:
    """A process that is gone, with all that it started, when the block ends."""

    def __init__(self, command: Sequence[str]) -> None:
        paths = os.pathsep.join(path or os.curdir for path in sys.path)  # it finds what we find
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def wait(self, timeout: float) -> tuple[int, bytes, bytes]:
        """Return the exit status and what was printed. Raises subprocess.TimeoutExpired."""
        printed, errors = self._process.communicate(timeout=timeout)
        return self._process.returncode, printed, errors

    def kill(self) -> None:
        """End it and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # stuck in the kernel; it goes when the device lets it
            self._process.wait(_END_S)


def _collect(kind: str, running: _Child, deadline: float, limit_s: float) -> CameraSearch:
    try:
        status, printed, errors = running.wait(max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        return CameraSearch(kind, problem=f"the search did not end within {limit_s:g} s and was given up")
    if status:
        return CameraSearch(kind, problem=_failure(status, errors))
    try:
        return _parsed(json.loads(printed))
    except (ValueError, KeyError, TypeError) as exc:
        return CameraSearch(kind, problem=f"the search gave no answer: {exc}")


def _failure(status: int, errors: bytes) -> str:
    if status < 0:
        number = -status
        known = number in {int(one) for one in signal.Signals}
        return f"the search crashed ({signal.Signals(number).name if known else f'signal {number}'})"
    lines = errors.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}")
    return f"the search failed: {last[:_LONGEST_REASON]}"


def _parsed(content: dict[str, object]) -> CameraSearch:
    cameras = content["cameras"]
    if not isinstance(cameras, list):
        raise TypeError(f"cameras are {cameras!r}")
    return CameraSearch(
        kind=str(content["kind"]),
        cameras=tuple(
            FoundCamera(one["source"], CameraIdentity(**one["identity"]), tuple(one["modes"]))
            for one in cameras
        ),
        problem=str(content["problem"]),
        missing=bool(content["missing"]),
    )
