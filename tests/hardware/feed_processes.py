"""Processes at the other end of a feed. They say on their standard output what they do."""

import os
import signal
import sys
import time

import numpy as np

from hardware import FeedDiedError, FeedReader, FeedWriter
from imgstore import Frame, FrameSpec

SHAPE = (240, 320)


def numbered(number: int) -> Frame:
    """Return a frame all of whose pixels follow from its number."""
    return Frame(np.full(SHAPE, number % 251, np.uint8), number, number, number / 60)


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)


def write(name: str) -> None:
    """Append frames as fast as it goes, for ever."""
    writer = FeedWriter(name, FrameSpec(SHAPE))
    writer.start()
    say("started")
    number = 0
    while True:
        writer.append(numbered(number))
        number += 1


def write_on_demand(name: str) -> None:
    """Append as many frames as each line says; close and end at the end of the lines."""
    with FeedWriter(name, FrameSpec(SHAPE)) as writer:
        say("started")
        for line in sys.stdin:
            for _ in range(int(line)):
                writer.append(numbered(writer.count))
            say("written")


def write_and_fork(name: str) -> None:
    """Fork a child that lives until its input ends, whatever becomes of the writer."""
    with FeedWriter(name, FrameSpec(SHAPE)):
        if os.fork() != 0:
            say("started")
        sys.stdin.read()


def read_for_ever(name: str, told: int) -> None:
    """Read, and write a byte once the first frame has come."""
    with FeedReader(name) as reader:
        reader.read(20)
        os.write(told, b"x")
        for _ in reader:
            pass


def kill_readers(name: str) -> None:
    """Fork readers and kill them in the middle of reading; say how many at the end."""
    kills = 20
    say("started")
    for turn in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            read_for_ever(name, writing)
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        time.sleep(turn / 10_000)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    say("killed", kills)


def read(name: str) -> None:
    """Read frames, check every pixel, and say the sum of what came and what was lost at the end."""
    with FeedReader(name) as reader:
        say("started")
        count = lost = torn = 0
        previous: int | None = None
        try:
            for frame in reader:
                if previous is None:
                    say("reading")
                torn += bool(np.any(frame.image != frame.number % 251))
                torn += previous is not None and frame.number != previous + 1 + frame.lost
                previous = frame.number
                count += 1
                lost += frame.lost
        except FeedDiedError:
            say("died", count, lost, torn, reader.lost)
        else:
            say("ended", count, lost, torn, reader.lost)


if __name__ == "__main__":
    processes = (write, write_on_demand, write_and_fork, kill_readers, read)
    {process.__name__: process for process in processes}[sys.argv[1]](sys.argv[2])
