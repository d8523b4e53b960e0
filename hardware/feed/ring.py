"""Frames in shared memory that one process writes and others read, without waiting for each other.

Frame `n` lies in slot `n % slots`. Two words say how far the writer is: `claimed`, how many frames it has
begun to write, and `published`, how many are complete. A frame is whole while fewer than `slots` frames have
been begun after it. The writer claims, writes, publishes; a reader looks at `published`, takes what it wants
of a slot, and looks at `claimed` afterwards: if the slot had been claimed again by then, what it took is
worth nothing.

Why that is right on any processor
----------------------------------
x86 keeps the order of stores and of loads, ARM does not: there a reader might see a word before the image
that it speaks of, and Python has no memory barriers. So both sides put a *fence* between a word and an image:
a system call that sets a file lock to what it is. The kernel keeps the locks of a file in a list, and takes
one spinlock, that of the file, whenever a process sets one. So the fences of all processes come one after
another, and what a process did before its fence has happened for every process whose fence comes later.

    writer:  claimed = n + 1;   fence w1;   write slot;   fence w2;   published = n + 1;   wake
    reader:  load published;    fence r1;   load slot;    fence r2;   load claimed

- A reader that loads `published = n + 1` has frame n whole. That was stored after w2 began and loaded before
  r1 ended, so r1 did not come before w2; it came after, and what was written before w2 is there after r1.
- A reader that loads a single byte of frame n + slots, which overwrites frame n, notices. That byte was
  stored after w1 of that frame began and loaded before r2 ended, so r2 came after w1, and what is loaded
  after r2 says that frame n + slots is claimed.

The words have 32 bits, aligned, so they are never seen half written. They count modulo a multiple of `slots`.
"""

import fcntl
import mmap
import struct
from io import FileIO

import numpy as np

from hardware.feed.futex import Futex
from hardware.feed.layout import WORDS_OFFSET, FeedLayout, SlotHeader, unpack_frame
from imgstore import Image

_PUBLISHED, _CLAIMED = 0, 1  # the words; the lowest bit of the first one says that the feed has ended
_BITS = 31
_UNLOCK_ALL = struct.pack("hhqqi0q", fcntl.F_UNLCK, 0, 0, 0, 0)


class Ring:
    """The slots of a feed.

    Parameters
    ----------
    memory : of the feed, mapped for reading and writing or for reading alone.
    file : the feed's file, opened once more than for its lock: no lock is held through it. Some lock must
        have been set on the file before: without one, the kernel has no list to guard.
    layout : what lies where.
    """

    def __init__(self, memory: mmap.mmap, file: FileIO, layout: FeedLayout) -> None:
        self._memory = memoryview(memory)
        self._file = file
        self._layout = layout
        self._period = layout.slots * ((1 << _BITS) // layout.slots)
        self._words = np.frombuffer(memory, np.uint32, 2, WORDS_OFFSET)
        self._futex = Futex(self._words.ctypes.data)

    def write(self, header: bytes, image: Image) -> None:
        """Write the next frame into its slot, and wake those who wait for it.

        Which one is next is counted nowhere else than in the word that publishes it: if this is interrupted,
        by Ctrl-C say, the frame either was published or never was.

        Parameters
        ----------
        header : what `pack_frame` made of the frame.
        """
        sequence = self.progress() >> 1
        slot = sequence % self._layout.slots
        offset = self._layout.header_offset(slot)
        self._words[_CLAIMED] = (sequence + 1) % self._period
        self._fence()
        self._memory[offset : offset + len(header)] = header
        np.copyto(self._image(slot), image)
        self._fence()
        self._words[_PUBLISHED] = (sequence + 1) % self._period << 1
        self._futex.wake_all()

    def end(self) -> None:
        """Say that no more frames come."""
        self._words[_PUBLISHED] |= 1
        self._futex.wake_all()

    def progress(self) -> int:
        """Return a word that changes with every frame and at the end, for the methods that take it."""
        return int(self._words[_PUBLISHED])

    def published(self, progress: int, near: int) -> int:
        """Return how many frames were complete, of which at least `near` are known to be."""
        return near + ((progress >> 1) - near) % self._period

    def ended(self, progress: int) -> bool:
        """Return whether no more frames come."""
        return bool(progress & 1)

    def wait(self, progress: int, timeout: float) -> bool:
        """Sleep until there is more than that; return False if `timeout` seconds have passed."""
        return self._futex.wait(progress, timeout)

    def oldest(self, near: int) -> int:
        """Return which is the first frame that is whole at this moment, whether or not it was published.

        Parameters
        ----------
        near : how many frames are known to be complete, at the least.

        What was loaded before the call was loaded before that moment.
        """
        self._fence()
        claimed = near + (int(self._words[_CLAIMED]) - near) % self._period
        return claimed - self._layout.slots

    def header(self, sequence: int) -> SlotHeader:
        """Return what the slot of a frame says now."""
        return unpack_frame(self._memory, self._layout.header_offset(sequence % self._layout.slots))

    def image(self, sequence: int) -> Image:
        """Return the image in the slot of a frame: the memory itself, not a copy."""
        return self._image(sequence % self._layout.slots)

    def _image(self, slot: int) -> Image:
        spec = self._layout.spec
        return np.ndarray(spec.shape, spec.dtype, self._memory, self._layout.image_offset(slot))

    def _fence(self) -> None:
        """Order what this process loads and stores before and after; see the head of this file."""
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _UNLOCK_ALL)
