"""Encoders that may never come back."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeAlias

from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from imgstore.errors import ChunkError

Packets: TypeAlias = "list[Packet[Stream]]"
Encode = Callable[[VideoFrame | None], Packets]

_LOOKS = 50  # counted, not timed: a process that was stopped meanwhile has not waited
_LOOK_S = 0.1


class PatientEncoder:
    """Encodes in a thread of its own, which is left behind, with all that it holds, if it does not come back.

    Parameters
    ----------
    encode : returns the packets of a frame, or of None for those that are still to come.
    name : of what is encoded, for the error.
    """

    def __init__(self, encode: Encode, name: str) -> None:
        self._encode = encode
        self._name = name
        self._frames: SimpleQueue[tuple[VideoFrame | None] | None] = SimpleQueue()
        self._results: SimpleQueue[Packets | Exception] = SimpleQueue()
        self._is_lost = False
        self._thread = threading.Thread(target=self._serve, name=f"encoder of {name}", daemon=True)
        self._thread.start()

    def encode(self, frame: VideoFrame | None) -> Packets:
        """Return the packets of a frame.

        Raises what the encoder raises; ChunkError if it does not come back, and from then on.
        """
        if not self._is_lost:
            self._frames.put((frame,))
            for _ in range(_LOOKS):
                try:
                    result = self._results.get(timeout=_LOOK_S)
                except Empty:
                    continue
                if isinstance(result, Exception):
                    raise result
                return result
        self._is_lost = True
        raise ChunkError(
            f"the encoder of {self._name} has not come back for {_LOOKS * _LOOK_S:g} s; it is left behind, "
            "and the frame that it was given is lost"
        )

    def close(self) -> None:
        """End the thread, if it is there to be ended. Closing twice is harmless."""
        self._frames.put(None)
        if not self._is_lost:
            self._thread.join()

    def _serve(self) -> None:
        while (given := self._frames.get()) is not None:
            try:
                self._results.put(self._encode(*given))
            except Exception as exc:  # noqa: BLE001  # raised where it was asked for
                self._results.put(exc)
