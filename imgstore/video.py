"""A plain video file as a sequence of frames, and any recording by its path."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import TracebackType

import numpy as np

from imgstore.decoder import VideoDecoder
from imgstore.errors import ClosedError, FrameFormatError, FrameIndexError, VideoError
from imgstore.frame import Frame, FrameSequence, FrameSpec
from imgstore.index import Numbers, Times
from imgstore.layout import METADATA_FILENAME
from imgstore.options import Crop, ReadOptions
from imgstore.reader import open as open_store


def open_video(
    path: str | os.PathLike[str],
    *,
    colour: bool = False,
    crop: Crop | None = None,
    scale: float = 1.0,
    start_time: float = 0.0,
) -> "VideoFile":
    """Open a video file as a sequence of frames, of which any can be had exactly.

    Parameters
    ----------
    path : the file; anything that FFmpeg reads.
    colour : frames of shape (rows, columns, 3), blue, green, red; else grey (rows, columns).
    crop, scale : read a part of the images, or smaller ones; see `open`.
    start_time : time of the first frame, seconds since the Unix epoch; the file only knows the others'
        distance from it.

    Raises
    ------
    VideoError
        The file does not exist or is no video.
    FrameFormatError
        Its frames cannot be cropped or scaled so.
    """
    return VideoFile(
        Path(path), colour=colour, options=ReadOptions(crop=crop, scale=scale), start_time=start_time
    )


def open_source(path: str | os.PathLike[str], *, colour: bool = False) -> FrameSequence:
    """Open a recording, be it a store or a video file.

    Parameters
    ----------
    path : of the one or the other.
    colour : read a video in colour; a store has what it has.

    Raises NotAStoreError for a folder that is no store, VideoError for a file that is no video.
    """
    if Path(path).is_dir() or Path(path).name == METADATA_FILENAME:
        return open_store(path)
    return open_video(path, colour=colour)


class VideoFile:
    """A sequence of frames; made by `open_video`. Safe to use from several threads.

    A video has no camera numbers: `number` is the index.
    """

    def __init__(self, path: Path, *, colour: bool, options: ReadOptions, start_time: float) -> None:
        if not path.exists():
            raise VideoError(f"{path} does not exist; give a video file or the folder of a store")
        self._path = path
        self._colour = colour
        self._options = options
        self._decoder = VideoDecoder(path, colour=colour, options=options)
        try:
            self._spec = options.spec(FrameSpec(self._decoder.shape))
        except FrameFormatError:
            self._decoder.close()
            raise
        self._times = self._decoder.times + start_time
        self._start_time = start_time
        self._lock = RLock()
        self._process = os.getpid()
        self._closed = False

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames."""
        return self._spec

    @property
    def numbers(self) -> Numbers:
        """0, 1, 2 ..., shape (n,)."""
        return np.arange(len(self), dtype=np.int64)

    @property
    def times(self) -> Times:
        """Presentation times, shape (n,), seconds, from `start_time`."""
        return self._times

    def __reduce__(self) -> tuple[Callable[..., "VideoFile"], tuple[str, bool, ReadOptions, float]]:
        """Pickle as a path, which is opened again where it is unpickled."""
        return _reopen, (str(self._path.resolve()), self._colour, self._options, self._start_time)

    def __len__(self) -> int:
        return len(self._decoder)

    def __getitem__(self, index: int, /) -> Frame:
        """Return the frame at `index`; negative ones count from the end.

        Raises FrameIndexError outside of the file, VideoError if it cannot be decoded.
        """
        at = self._position(index)
        with self._open_decoder() as decoder:
            image = decoder.read(at)
        return Frame(image, at, at, float(self._times[at]))

    def near(self, index: int, within: int) -> Frame:
        """Return the frame at `index` or, if that takes less to decode, one at most `within` frames away.

        Raises FrameIndexError outside of the file, VideoError if it cannot be decoded.
        """
        with self._open_decoder() as decoder:
            at, image = decoder.read_near(self._position(index), within)
        return Frame(image, at, at, float(self._times[at]))

    def _position(self, index: int) -> int:
        at = int(index) + len(self) if index < 0 else int(index)
        if not 0 <= at < len(self):
            raise FrameIndexError(
                f"there is no frame at index {index}: {self._path} holds {len(self)} frames"
            )
        return at

    @contextmanager
    def _open_decoder(self) -> Iterator[VideoDecoder]:
        """Give the decoder to one thread at a time. Raises ClosedError."""
        if self._process != os.getpid():  # forked: the lock and the decoder's threads are the parent's
            self._process, self._lock, self._abandoned = os.getpid(), RLock(), self._decoder
            self._decoder = VideoDecoder(self._path, colour=self._colour, options=self._options)
        with self._lock:
            if self._closed:
                raise ClosedError(f"{self._path} is closed; open it again to read")
            yield self._decoder

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self[index]

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._decoder.close()

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reopen(path: str, colour: bool, options: ReadOptions, start_time: float) -> VideoFile:
    return VideoFile(Path(path), colour=colour, options=options, start_time=start_time)
