"""A few kills of every format and situation; `python -m tests.faults.killed` makes as many as you like."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.conftest import FORMATS_HERE
from tests.faults.killed import AT_RANDOM, LOOPBIO_PYTHON, Loopbio, kill_writers
from tests.faults.nursery import CAN_TRACE, TRACED, Nursery

KILLS = 20
TRACED_FORMATS = ("npy", "png", "mjpeg/avi", "avc1/mp4", "h264/mkv")

_MEMORY = Path("/dev/shm")  # noqa: S108  # a killed process leaves the same there, and syncs cost nothing


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.fixture(scope="module")
def loopbio() -> Iterator[Loopbio | None]:
    with Loopbio() if LOOPBIO_PYTHON else nullcontext() as reader:
        yield reader


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("situation", AT_RANDOM)
@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_of_a_killed_writers_store_all_but_the_last_frames_are_left(nursery, loopbio, folder, fmt, situation):
    outcomes = list(kill_writers(nursery, loopbio, folder, fmt, situation, KILLS, seed=1))
    assert [outcome.wrong for outcome in outcomes if outcome.wrong] == []
    assert len(outcomes) == KILLS


@pytest.mark.skipif(not CAN_TRACE, reason="there is no strace, which kills before a system call")
@pytest.mark.parametrize("situation", TRACED)
@pytest.mark.parametrize("fmt", TRACED_FORMATS)
def test_a_kill_before_any_system_call_of_writing_or_repairing_loses_no_more(
    nursery, loopbio, folder, fmt, situation
):
    outcomes = list(kill_writers(nursery, loopbio, folder, fmt, situation, KILLS, seed=2))
    assert [outcome.wrong for outcome in outcomes if outcome.wrong] == []
