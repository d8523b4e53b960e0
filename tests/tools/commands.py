"""Runs commands of `ethostore` for tests, each in a process of its own.

The processes are forks of one that has imported the command line already, as importing takes longer than most
commands do.
"""

import atexit
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from tests.conftest import ROOT

_MOST_BYTES = 1 << 17
_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "100"}


def run(arguments: Sequence[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder; return its exit code and what it said."""
    channel = _server()
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        request = json.dumps([str(cwd), *arguments]).encode()
        socket.send_fds(channel, [request], [said.fileno(), complained.fileno()])
        code = int(channel.recv(_MOST_BYTES))
        return subprocess.CompletedProcess(arguments, code, _read(said), _read(complained))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _server() -> socket.socket:
    """Start the process that forks, and return the way to it; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    handle = theirs.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(handle)],
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env=_ENVIRONMENT,
        pass_fds=[handle],
    )
    theirs.close()
    atexit.register(process.wait)
    atexit.register(ours.close)  # which is done first
    return ours


def _serve(channel: socket.socket) -> None:
    from tools.cli import main

    with suppress(ImportError):
        import typer._adapters  # noqa: F401  # what the first command would import
    gc.freeze()  # or the collections of each child copy all that they look at
    while True:
        request, handles, _, _ = socket.recv_fds(channel, _MOST_BYTES, 2)
        if not request:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's threads do not mind
            child = os.fork()
        if child == 0:
            channel.close()
            for handle, place in zip(handles, (1, 2), strict=True):
                os.dup2(handle, place)
                os.close(handle)
            folder, *arguments = json.loads(request)
            os.chdir(folder)
            sys.argv = ["ethostore", *arguments]
            main()
            return
        for handle in handles:
            os.close(handle)
        channel.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
