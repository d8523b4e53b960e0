"""When a camera, or what it films, was knocked, and where the picture lies since then."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence, FrameView, Image, ensure_grayscale
from tracking.background import Progress, learn_preparation, median_image, to_grey
from tracking.blocks import SeenFrame
from tracking.clock import SteadyClock
from tracking.layouts import Regions
from tracking.polygons import transform
from tracking.realign import SURE, Realignment, Reference, moved, realign
from tracking.steadying import Matrix, Move, Moves, steadied

Grey = npt.NDArray[np.uint8]

_LEAST_LOOKS, _MOST_LOOKS = 60, 2000  # at a recording ...
_LOOK_S = 60.0  # ... and how often if that lies between
_FIRST = 7  # frames that are the start of a recording
_MOVED = 1.0  # pixels; for less, nothing is moved
_BACK = 0.5  # pixels; what comes that near to where it lay at the start is there
_LESS_ALIKE = 0.8  # times as much as before: pictures may no longer lie where they did
_BETTER = 0.02  # by how much a place has to fit better than the one before
_LIVE_LOOK_S = 0.5
_LONGEST_PAUSE_S = 60.0  # after looks that led to nothing
_SUSPECTS = 3  # live pictures in a row that lie elsewhere


class _Lookout:
    """Compares pictures with a first one, and knows where the last lay.

    Parameters
    ----------
    reference : the first picture.
    """

    def __init__(self, reference: Grey) -> None:
        self._reference = Reference(reference)
        self.matrix: Matrix = np.eye(2, 3)
        self._usual = 0.0

    def in_place(self, image: Grey) -> bool:
        """Return whether a picture lies where the last did, as far as a quick look tells."""
        alike, shift = self._reference.alike(image, self.matrix)
        if shift > _MOVED or alike < _LESS_ALIKE * self._usual:
            return False
        self._usual = alike
        return True

    def seek(self, image: Grey) -> tuple[Matrix, float]:
        """Return where a picture lies that seems to lie elsewhere, and how sure that is; 0 if it does not."""
        matrix, confidence = self._reference.register(image)
        alike, _ = self._reference.alike(image, self.matrix)
        apart = distance(matrix, self.matrix, self._reference.shape)
        if apart <= _MOVED or confidence < alike + _BETTER:
            self._usual = alike  # it is the light that changed
            return self.matrix, 0.0
        return matrix, confidence

    def settle(self, matrix: Matrix) -> None:
        """Take it that pictures lie so from now on."""
        self.matrix, self._usual = matrix, 0.0

    def nearer(self, image: Grey, matrix: Matrix) -> bool:
        """Return whether a picture fits better so than as the last lay."""
        return self._reference.alike(image, matrix)[0] > self._reference.alike(image, self.matrix)[0]


def distance(matrix: Matrix, other: Matrix, shape: tuple[int, ...]) -> float:
    """Return how far apart two matrices put what lies halfway between middle and border, pixels."""
    rows, columns = np.meshgrid(np.array([0.25, 0.75]) * shape[0], np.array([0.25, 0.75]) * shape[1])
    places = np.column_stack([columns.ravel(), rows.ravel()])
    return float(np.hypot(*(transform(matrix, places) - transform(other, places)).T).max())


def find_knocks(frames: FrameSequence, progress: Progress | None = None) -> Moves:
    """Return where the picture lies in every part of a recording, told by looks at frames all over it.

    Each is laid over the start of the recording. If the picture lies elsewhere than in the look before, the
    frame is sought from which on it does. There are no regions in what comes of it: `settle_knocks` sees to
    them.

    Parameters
    ----------
    frames : the recording; in place of broken frames it gives others.
    progress : called after each look.

    Raises EmptyRecordingError if there are no frames.
    """
    start = FrameView(frames, range(min(_FIRST, len(frames))))
    lookout, scale = _Lookout(median_image(start)), _scale_of(start)
    moves, known = [], 0
    places = _places_to_look(frames.times)
    for done, index in enumerate(places, 1):
        image = to_grey(frames[index].image, scale)
        if lookout.in_place(image):
            known = index
        else:
            matrix, confidence = lookout.seek(image)
            if confidence >= SURE:
                first = _first_there(frames, range(known + 1, index), scale, lookout, matrix)
                moves.append(Move(first, moved(Regions([]), matrix, confidence, "picture")))
                lookout.settle(matrix)
                known = index
        if progress is not None:
            progress(done, len(places))
    return Moves(tuple(moves), _median_of(start))


def shift_at_end(frames: FrameSequence) -> float:
    """Return by how many pixels the picture lies elsewhere at the end of a recording than at its start.

    It is 0 if that cannot be told; only a few frames are looked at, of each tenth those spread over it, in
    which animals that move are gone.
    """
    tenth = len(frames) // 10
    if tenth < _FIRST:
        return 0.0
    step = tenth // _FIRST
    first, last = range(0, tenth, step), range(len(frames) - tenth, len(frames), step)
    lookout = _Lookout(median_image(FrameView(frames, first)))
    image = median_image(FrameView(frames, last))
    if lookout.in_place(image):
        return 0.0
    matrix, confidence = lookout.seek(image)
    return distance(matrix, np.eye(2, 3), image.shape) if confidence >= SURE else 0.0


def no_knocks(frames: FrameSequence) -> Moves:
    """Return that the picture stays in its place in frames, one at least."""
    return Moves((), _median_of(frames))


def _places_to_look(times: npt.NDArray[np.float64]) -> list[int]:
    """Return the indices of frames spread evenly over a recording, the last of it among them."""
    seconds = float(np.ptp(times[np.isfinite(times)])) if np.isfinite(times).any() else 0.0
    count = min(max(_LEAST_LOOKS, math.ceil(seconds / _LOOK_S)), _MOST_LOOKS, len(times))
    return [int(place) for place in np.linspace(0, len(times) - 1, count)]


def _first_there(
    frames: FrameSequence, between: range, scale: float, lookout: _Lookout, matrix: Matrix
) -> int:
    """Return the first index of a stretch from which on pictures lie as in the frame after it."""
    low, high = between.start, between.stop
    while low < high:
        middle = (low + high) // 2
        if lookout.nearer(to_grey(frames[middle].image, scale), matrix):
            high = middle
        else:
            low = middle + 1
    return low


def settle_knocks(regions: Regions, frames: FrameSequence, found: Moves) -> Moves:
    """Return how regions have to move, told as well as the recording allows.

    Parameters
    ----------
    regions : as they lie at the start of the recording.
    frames : what `find_knocks` looked at.
    found : what it found.
    """
    starts = [0, *(move.index for move in found.moves), len(frames)]
    reference = median_image(FrameView(frames, range(max(1, starts[1]))))
    settled: list[Move] = []
    last: Matrix = np.eye(2, 3)
    for move, stop in zip(found.moves, starts[2:], strict=True):
        image = median_image(FrameView(frames, range(move.index, stop)))
        done = _back_or_not(_realigned(regions, reference, image, move.realignment), reference.shape)
        if distance(done.matrix, last, reference.shape) >= _BACK:
            settled.append(Move(move.index, done))
            last = done.matrix
    return Moves(tuple(settled), found.fill)


def _realigned(regions: Regions, reference: Grey, image: Grey, roughly: Realignment) -> Realignment:
    done = realign(regions, reference, image)
    if done.confidence >= SURE:
        return done
    return moved(regions, roughly.matrix, roughly.confidence, roughly.how)


def _back_or_not(done: Realignment, shape: tuple[int, ...]) -> Realignment:
    """Return regions where they were at the start if that is where they nearly are."""
    still = np.eye(2, 3)
    return replace(done, matrix=still) if distance(done.matrix, still, shape) < _BACK else done


class KnockWatch:
    """A guide for frames that come now: it looks at some of them, and what it finds holds from then on.

    A knock is believed in when several looks in a row see the picture elsewhere, which takes 1.5 seconds.

    Parameters
    ----------
    regions : as they lie at the start.
    known : the frames that there were before, steadied.
    moves : where the picture lies in them.
    """

    def __init__(self, regions: Regions, known: FrameSequence, moves: Moves) -> None:
        self._regions = regions
        self._moves = moves
        self._picture = median_image(known)
        self._scale = _scale_of(known)
        self._lookout = _Lookout(self._picture)
        self._now: Realignment | None = None
        self._watched_from = len(known) if moves.moves else 0
        self._clock = SteadyClock()
        self._pause, self._due = _LIVE_LOOK_S, _LIVE_LOOK_S
        self._suspects: list[Grey] = []

    def at(self, frame: Frame | SeenFrame) -> Realignment | None:
        """Take the next frame; return where the picture lies in it, None for where it lay at the start."""
        self._due -= self._clock.advance(frame.time)
        if frame.index < self._watched_from:
            known = self._moves.at(frame)
            if known is not None and known is not self._now:
                self._now = known
                self._lookout.settle(known.matrix)
            return self._now
        if self._due > 0 or frame.image is None:
            return self._now
        image = to_grey(frame.image, self._scale)
        if self._lookout.in_place(image):
            self._suspects, self._pause = [], _LIVE_LOOK_S
        else:
            self._suspects.append(image.copy())
            if len(self._suspects) == _SUSPECTS:
                self._seek()
        self._due = self._pause
        return self._now

    def steady(self, frame: Frame) -> Frame:
        """Return a frame as it would be had the picture not moved."""
        return steadied(frame, self._now, self._moves.fill)

    def _seek(self) -> None:
        """Find out where the picture lies by now."""
        image = np.median(self._suspects, axis=0).astype(np.uint8)
        self._suspects = []
        matrix, confidence = self._lookout.seek(image)
        if confidence < SURE:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
            return
        self._pause = _LIVE_LOOK_S
        roughly = moved(self._regions, matrix, confidence, "picture")
        self._now = _back_or_not(
            _realigned(self._regions, self._picture, image, roughly), self._picture.shape
        )
        self._lookout.settle(self._now.matrix)


def _scale_of(frames: FrameSequence) -> float:
    """Return the grey levels of 8 bit per unit of pixels."""
    if frames.spec.dtype == np.uint8:
        return 1.0
    return learn_preparation(ensure_grayscale(frames[0].image)[None]).scale


def _median_of(frames: FrameSequence) -> Image:
    """Return the median of some frames, with the colours and the depth of the recording."""
    places = np.linspace(0, len(frames) - 1, min(_FIRST, len(frames))).astype(int)
    images = np.stack([frames[place].image for place in places.tolist()])
    return np.asarray(np.median(images, axis=0), images.dtype)
