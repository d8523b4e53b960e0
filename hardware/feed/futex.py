"""Waiting for a word of shared memory to change, as the kernel offers it.

Nobody registers: the writer wakes whoever waits at that moment, with one system call whether there are ten
readers or none, and a reader that is killed while it waits leaves nothing behind.
"""

import ctypes
import errno
import os
import platform

from hardware.errors import FeedError

_WAIT, _WAKE = 0, 1  # across processes, so without the flag for private ones
_ALL = 0x7FFFFFFF
_NS = 1_000_000_000

_CALLS_64 = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221}
_CALL_32 = 240  # of ARM and x86 both; a 32-bit Python may well run on a 64-bit kernel


class _Duration(ctypes.Structure):
    """The kernel's `timespec`."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Futex:
    """A 32-bit word that can be waited for.

    Parameters
    ----------
    address : of the word, in memory that is shared; a multiple of 4. It may be mapped for reading only.

    Raises FeedError on a system that has no futex.
    """

    def __init__(self, address: int) -> None:
        self._address = ctypes.c_void_p(address)
        self._number = ctypes.c_long(_call_number())
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long

    def wait(self, expected: int, timeout: float) -> bool:
        """Sleep while the word is `expected`, for `timeout` seconds at most; return False after those.

        It may return early, for a signal or none at all: look at the word again.
        """
        whole = max(0, int(timeout * _NS))
        duration = _Duration(*divmod(whole, _NS))
        done = self._call(
            self._number, self._address, _WAIT, ctypes.c_uint32(expected), ctypes.byref(duration), None, 0
        )
        if done == 0:
            return True
        code = ctypes.get_errno()
        if code == errno.ETIMEDOUT:
            return False
        if code in (errno.EAGAIN, errno.EINTR):
            return True
        raise FeedError(code, f"cannot wait for a feed: {os.strerror(code)}")

    def wake_all(self) -> None:
        """Wake all who wait. The word must have been changed before."""
        self._call(self._number, self._address, _WAKE, _ALL, None, None, 0)


def _call_number() -> int:
    machine = platform.machine()
    if platform.system() == "Linux":
        if ctypes.sizeof(ctypes.c_void_p) == 4:
            return _CALL_32
        if machine in _CALLS_64:
            return _CALLS_64[machine]
    known = ", ".join(_CALLS_64)
    raise FeedError(
        f"live feeds need Linux on {known} or 32-bit ARM; this is {platform.system()} on {machine}"
    )
