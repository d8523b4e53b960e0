"""What the frames look like without animals, learnt from samples over the whole recording."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import FrameSequence, Image, ensure_grayscale, frame_near, problems_of
from tracking.detect import BlobFilter, Blobs, find_blobs
from tracking.errors import EmptyRecordingError
from tracking.lighting import Lighting, learn_lighting
from tracking.roi import ROI
from tracking.settings import setting

Grey = npt.NDArray[np.uint8]
Window: TypeAlias = tuple[slice, slice]
"""Rows and columns of a part of the frame."""

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

_MOST_BYTES = 400 << 20
_MEDIAN_SAMPLES = 7
LEAST_THRESHOLD = 10  # grey levels; codecs change still pixels by less
NOISE_FACTOR = 6  # standard deviations
_SAME_LIGHT = 0.03  # share by which brightness may differ unnoticed
_LIGHTED = 0.25  # of a region's longer side: what differs over more than that is light, not an animal
_POLARITY_PIXELS = 256  # of a region's longer side: enough to see whether animals are dark or light
_POLARITY_SAMPLES = 20
_STILL = 0.8  # of the samples that show a pixel at its stillest ...
_STILL_TO_DEVIATION = 1.79  # ... and what makes their mean deviation a standard deviation, if it is normal
_TRAVELLED = 3.0  # times its area: what has gone over that much has been seen beside where it was
_FILLED = 2.5  # times the pixels of the regions: to prepare so many at once takes no longer
_GUESSES = (0.05, 0.1, 0.2)  # length of an animal as a share of its region, the likeliest first
_MOST_GUESSED = 30  # regions
_AREA_SPREAD = 0.6  # how much animals differ from their typical look, as logarithms
_CONTRAST_SPREAD = 0.4
_UNKNOWN = 1.0  # cost of a look that cannot be told
_ALWAYS_THERE = 3.0  # cost of being part of the background, as stains are too
_BOTH = 0.2  # of what moves, for animals to be dark in some regions and light in others

BODY_SHARE = 0.35
"""Pixels that differ by this share of an animal's contrast belong to it; less is shadow and blur."""


class Polarity(StrEnum):
    """How animals differ from what is around them."""

    DARK = "dark"
    LIGHT = "light"
    EITHER = "either"


POLARITIES = ("auto", *(str(polarity) for polarity in Polarity))
"""What the setting `polarity` may be; `auto` is for one that is learnt."""


def threshold_setting() -> float:
    """Return the setting `threshold` of trackers that compare with a background."""
    return setting(
        0.0,
        "difference from the background that is an animal; 0 to learn it from noise and contrast",
        unit="grey levels",
        least=0,
        most=254,
    )


class Look(NamedTuple):
    """What an animal looks like, roughly.

    Attributes
    ----------
    area : pixels.
    contrast : difference from the background where it is largest, grey levels.
    length : pixels.
    """

    area: float
    contrast: float
    length: float


def look_costs(
    blobs: Blobs,
    area: npt.NDArray[np.float64] | float,
    contrast: npt.NDArray[np.float64] | float,
    known: npt.NDArray[np.bool_] | bool = True,
) -> npt.NDArray[np.float64]:
    """Return how little blobs look like animals.

    What lies for the most part where the background is a guess may be a stain as well. By how much more than
    half does not matter: less of an edge of something dark is such a guess than of an animal that sits there.

    Parameters
    ----------
    area, contrast : of the animals; one value, or one for each blob.
    known : whether they are, else all blobs look alike.
    """
    areas = np.log(np.maximum(blobs["area"], 1) / area) / _AREA_SPREAD
    contrasts = np.log(np.maximum(blobs["contrast"], 1) / contrast) / _CONTRAST_SPREAD
    there = np.minimum(1.0, 2.0 * blobs["marked"])
    return np.asarray(np.where(known, 0.5 * (areas**2 + contrasts**2), _UNKNOWN) + _ALWAYS_THERE * there)


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The frame without animals.

    Attributes
    ----------
    image : (rows, columns), prepared as frames are: light animals are dark on it.
    spots : 255 where `image` is a guess, because something like an animal sat there nearly always.
    look : of the animals that were seen moving in front of it.
    moved : whether any was; if not, `look` is a guess.
    thresholds : of each region the difference that is above its noise, grey levels.
    """

    image: Grey
    spots: Grey
    look: Look
    moved: bool
    thresholds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How images are made alike before they are compared: grey, 8 bit, of one brightness, animals dark.

    Attributes
    ----------
    polarity : of the animals; if they are light, images are inverted.
    scale : grey levels of 8 bit per unit of pixels that are not.
    brightness : to which the median pixel is brought, so that lamps may dim and flicker; 0 to leave it.
    """

    polarity: Polarity = Polarity.DARK
    scale: float = 1.0
    brightness: float = 0.0

    def apply(self, image: Image) -> Grey:
        """Return an image, grey or colour, prepared and slightly smoothed, (rows, columns)."""
        return self._prepared(image, self._gain(image))

    def apply_in(self, image: Image, windows: Sequence[Window]) -> list[Grey]:
        """Return some windows of what `apply` returns; what lies far from all of them is left out."""
        gain, covered = self._gain(image), _window_around(windows)
        if _pixels(covered) > _FILLED * sum(map(_pixels, windows)):
            return [self._prepared_in(image, window, gain) for window in windows]
        whole, (top, left) = self._prepared_in(image, covered, gain), (part.start for part in covered)
        return [
            whole[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            for rows, columns in windows
        ]

    def _prepared_in(self, image: Image, window: Window, gain: float) -> Grey:
        rows, columns = window
        top, left = min(rows.start, 1), min(columns.start, 1)  # a pixel more, to smooth the border
        wide = image[rows.start - top : rows.stop + 1, columns.start - left : columns.stop + 1]
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return self._prepared(wide, gain)[top : top + height, left : left + width]

    def _gain(self, image: Image) -> float:
        """Return what brings an image to the brightness of all; 1 where it is nearly that."""
        if not self.brightness:
            return 1.0
        gain = self.brightness / max(_brightness(image, self.scale), 1.0)
        return gain if abs(gain - 1) > _SAME_LIGHT else 1.0

    def _prepared(self, image: Image, gain: float) -> Grey:
        grey = to_grey(image, self.scale)
        if gain != 1.0:
            grey = np.asarray(cv2.convertScaleAbs(grey, alpha=gain), np.uint8)
        return self.invert(np.asarray(cv2.blur(grey, (3, 3)), np.uint8))

    def invert(self, grey: Grey) -> Grey:
        """Return a grey image, or several, with dark animals, or the image as it was from one with them."""
        return np.invert(grey) if self.polarity is Polarity.LIGHT else grey

    def compare(self, background: Grey, image: Grey) -> Grey:
        """Return by how much a prepared image differs from the background where an animal may be."""
        differ = cv2.absdiff if self.polarity is Polarity.EITHER else cv2.subtract
        return np.asarray(differ(background, image), np.uint8)


def _window_around(windows: Sequence[Window]) -> Window:
    """Return the least window that holds some others, of which there may be none."""
    rows, columns = ([window[axis] for window in windows] for axis in (0, 1))
    top, left = (min((part.start for part in parts), default=0) for parts in (rows, columns))
    bottom, right = (max((part.stop for part in parts), default=0) for parts in (rows, columns))
    return slice(top, bottom), slice(left, right)


def _pixels(window: Window) -> int:
    rows, columns = window
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


class Samples(NamedTuple):
    """Frames from all over a recording.

    Attributes
    ----------
    images : grey, pixels as they are in the recording, shape (n, rows, columns).
    times : shape (n,), seconds.
    """

    images: Image
    times: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What is known of a recording before it is tracked.

    Attributes
    ----------
    preparation : of every image.
    background : in the light that is usual.
    lighting : how that changes; None if it does not.
    """

    preparation: Preparation
    background: Background
    lighting: Lighting | None

    @property
    def facts(self) -> dict[str, object]:
        """What a result file says of it."""
        return {**self.background.look._asdict(), "polarity": str(self.preparation.polarity)}

    def slot(self, time: float) -> int:
        """Return the number of the time in which the light is the same; see `lit`."""
        return self.lighting.slot(time) if self.lighting else 0

    def lit(self, slot: int) -> Grey:
        """Return the background in the light of a slot."""
        image = self.background.image
        if self.lighting is None:
            return image
        return self.preparation.invert(self.lighting.apply(self.preparation.invert(image), slot))


def learn(
    samples: Samples,
    rois: list[ROI],
    *,
    polarity: str = "auto",
    share: float = 0.8,
    length: float = 0.0,
    animals: int = 1,
) -> Learnt:
    """Learn what a recording looks like.

    Parameters
    ----------
    samples : see there.
    rois : where animals are.
    polarity : one of `POLARITIES`.
    share : of the samples that may show an animal in one place, 0.5 to below 1.
    length : of an animal, pixels; 0 to learn it.
    animals : in each region at most.
    """
    preparation = learn_preparation(samples.images)
    stack = np.empty(samples.images.shape, np.uint8)
    for prepared, image in zip(stack, samples.images, strict=True):
        prepared[:] = preparation.apply(image)
    lighting = learn_lighting(stack, samples.times, length or _guess_length(rois))
    if lighting is not None:
        stack = np.stack([lighting.remove(image, slot) for slot, image in enumerate(stack)])
    known = learn_polarity(stack, rois) if polarity == "auto" else Polarity(polarity)
    preparation = replace(preparation, polarity=known)
    background = learn_background(
        preparation.invert(stack), rois, preparation, share=share, length=length, animals=animals
    )
    return Learnt(preparation, background, lighting)


def _guess_length(rois: list[ROI]) -> float:
    """Return about how long animals are, in pixels, where nothing is known of them."""
    return 0.05 * max(roi.longest_axis for roi in rois)


def to_grey(image: Image, scale: float) -> Grey:
    """Return an image as 8-bit grey; `scale` is for pixels that are not of 8 bit."""
    grey = ensure_grayscale(image)
    if grey.dtype == np.uint8:
        return grey
    return np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8)


def learn_preparation(samples: Image) -> Preparation:
    """Return the preparation that suits a recording, from grey samples of shape (n, rows, columns)."""
    scale = 1.0
    if samples.dtype != np.uint8:
        scale = 255 / (max(float(np.quantile(image, 0.999)) for image in samples) or 1.0)
    brightness = float(np.median([_brightness(image, scale) for image in samples]))
    return Preparation(scale=scale, brightness=brightness)


def sample_frames(
    frames: FrameSequence, most: int, progress: Progress | None = None, *, seconds: float = math.inf
) -> Samples:
    """Return frames spread evenly over a recording, or nearly so where that takes less to decode.

    Parameters
    ----------
    frames : the recording.
    most : how many images at most.
    progress : called after each.
    seconds : from how much of its beginning; infinity for all.

    Raises EmptyRecordingError if there are no frames.
    """
    if not len(frames):
        raise EmptyRecordingError("; ".join(["the recording holds no frames", *problems_of(frames)]))
    shape, dtype = (frames.spec.rows, frames.spec.columns), frames.spec.dtype
    room = max(3, _MOST_BYTES // (math.prod(shape) * dtype.itemsize))
    times = np.array(frames.times, np.float64)
    count = len(frames) - int((times - times[0] >= seconds).sum())
    indices = np.linspace(0, count - 1, min(most, room, count)).astype(int)
    images = np.empty((len(indices), *shape), dtype)
    within = max(0, count // len(indices) // 2 - 1)  # so that none is taken twice
    for place, index in enumerate(indices):
        frame = frame_near(frames, int(index), within)
        images[place] = ensure_grayscale(frame.image)
        times[place] = frame.time
        if progress is not None:
            progress(place + 1, len(indices))
    return Samples(images, times[: len(indices)])


def median_image(frames: FrameSequence) -> Grey:
    """Return the median of some frames spread over a recording, grey: what layouts look at."""
    samples = sample_frames(frames, _MEDIAN_SAMPLES).images
    if samples.dtype == np.uint8 and len(samples) % 2:
        return level_of_rank(samples, len(samples) // 2)
    scale = learn_preparation(samples).scale
    return to_grey(np.median(samples, axis=0).astype(samples.dtype), scale)


def _brightness(image: Image, scale: float) -> float:
    """Return the median of some pixels, as 8-bit grey."""
    step = max(1, min(image.shape[:2]) // 50)
    some = to_grey(np.ascontiguousarray(image[::step, ::step]), scale).ravel()
    return float(np.partition(some, len(some) // 2)[len(some) // 2])


def learn_polarity(stack: Grey, rois: list[ROI]) -> Polarity:
    """Return what moves in the regions: what is dark, what is light, or here this and there that.

    Where something comes and goes, one of the two levels that a pixel has is that of its surroundings, and
    the other is the animal's.

    Parameters
    ----------
    stack : samples that are not inverted, shape (n, rows, columns).
    rois : where animals are.
    """
    moved = np.array([_moved_levels(stack, roi) for roi in rois])
    dark, light = moved.T
    total = moved.sum() or 1.0
    darker, lighter = (moved[side].sum() / total for side in (dark > 2 * light, light > 2 * dark))
    if min(darker, lighter) > _BOTH:
        return Polarity.EITHER
    return Polarity.LIGHT if light.sum() > dark.sum() else Polarity.DARK


def _moved_levels(stack: Grey, roi: ROI) -> tuple[float, float]:
    """Return how much darker and how much lighter than what is around it is what comes and goes."""
    (rows, columns), mask = roi.window(stack.shape[1:]), roi.mask(stack.shape[1:])
    step = max(1, roi.longest_axis // _POLARITY_PIXELS)
    part = stack[:: max(1, len(stack) // _POLARITY_SAMPLES), rows, columns][:, ::step, ::step]
    usual = np.partition(part, len(part) // 2, axis=0)[len(part) // 2]
    least = max(LEAST_THRESHOLD, NOISE_FACTOR * _noise(part))
    side = int(_LIGHTED * max(usual.shape)) | 1
    low, high = np.zeros(usual.shape, np.float32), np.zeros(usual.shape, np.float32)
    for image in part:
        change = image - usual.astype(np.float32)
        change -= cv2.blur(change, (side, side))  # light that falls on all around is no animal
        np.minimum(low, change, out=low)
        np.maximum(high, change, out=high)
    there = (mask[::step, ::step] > 0) & (high - low > least)
    beside = usual.astype(np.float32) - cv2.medianBlur(np.ascontiguousarray(usual), min(side, 255))
    darker, lighter = -(beside + low)[there], (beside + high)[there]
    return float((np.maximum(darker, 0) ** 2).sum()), float((np.maximum(lighter, 0) ** 2).sum())


def learn_background(
    stack: Grey,
    rois: list[ROI],
    preparation: Preparation,
    *,
    share: float = 0.8,
    length: float = 0.0,
    animals: int = 1,
) -> Background:
    """Learn the background of a recording.

    Every pixel takes the level that `share` of the samples do not exceed, so whatever dark sat there for
    less than that is gone; if animals may be lighter as well, it takes the median. What sat there longer is
    still in it; where it looks like the animals that moved (or where none moved: like any compact spot), it
    is painted over from its surroundings.

    Parameters
    ----------
    stack : samples, prepared, shape (n, rows, columns).
    rois : where animals are.
    preparation : of the samples.
    share : of the samples, 0.5 (the median) to below 1.
    length : of an animal, pixels; 0 to learn it.
    animals : in each region at most.
    """
    both = preparation.polarity is Polarity.EITHER
    rank = min(int((0.5 if both else share) * len(stack)), len(stack) - 1)
    level = level_of_rank(stack, rank)
    thresholds = tuple(_threshold(stack, roi) for roi in rois)
    guess = length or _guess_length(rois)
    look, moved = _learn_look(stack, level, rois, preparation, thresholds, guess, animals)
    if not moved and not length:
        look = _guess_look(level, rois, thresholds) or look
    spots = np.zeros(level.shape, np.uint8)
    for roi, threshold in zip(rois, thresholds, strict=True):
        window = roi.window(level.shape)
        spots[window] |= find_spots(level, roi, look, threshold)
        if both:
            spots[window] |= find_spots(np.invert(level), roi, look, threshold)
    return Background(paint_over(level, spots), spots, look, moved, thresholds)


def level_of_rank(stack: Grey, rank: int) -> Grey:
    """Return of every pixel the level that comes at `rank`, from 0, when samples are sorted.

    Its bits are found one by one, from the highest: it has a bit if at most `rank` samples lie below the
    least level that has it. `np.partition` gives the same in five times the time.
    """
    level = np.zeros(stack.shape[1:], np.uint8)
    below = np.empty(level.shape, np.uint8 if len(stack) < 256 else np.int32)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        least = level | np.uint8(bit)
        below[:] = 0
        for image in stack:
            below += (image < least).view(np.uint8)
        np.copyto(level, least, where=below <= rank)
    return level


def paint_over(image: Grey, spots: Grey) -> Grey:
    """Return an image with what is around the spots in their place; the image itself if there are none."""
    if not spots.any():
        return image
    around = cv2.dilate(spots, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    return np.asarray(cv2.inpaint(image, around, 5, cv2.INPAINT_TELEA), np.uint8)


def _threshold(stack: Grey, roi: ROI) -> float:
    """Return the difference that is above the noise of a region."""
    rows, columns = roi.window(stack.shape[1:])
    return max(LEAST_THRESHOLD, NOISE_FACTOR * _noise(stack[:, rows, columns]))


def _noise(stack: Grey) -> float:
    """Return the standard deviation of a still pixel over time, grey levels; who passes by does not count."""
    step_y, step_x = (max(1, side // 48) for side in stack.shape[1:])
    some = stack[:, ::step_y, ::step_x].astype(np.int16)
    usual = np.partition(some, len(some) // 2, axis=0)[len(some) // 2]
    kept = max(1, int(_STILL * len(some)))
    deviation = np.partition(np.abs(some - usual), kept - 1, axis=0)[:kept]
    return float(_STILL_TO_DEVIATION * np.median(deviation.mean(axis=0)))


def _learn_look(
    stack: Grey,
    level: Grey,
    rois: list[ROI],
    preparation: Preparation,
    thresholds: tuple[float, ...],
    length: float,
    animals: int,
) -> tuple[Look, bool]:
    """Return the look of what moves most, and whether it goes far enough to be seen whole."""
    look, moved = Look(0.3 * length * length, min(thresholds), length), False
    for _ in range(2):
        seen: list[Blobs] = []
        travelled: list[Blobs] = []
        for roi, threshold in zip(rois, thresholds, strict=True):
            window, mask = roi.window(level.shape), roi.mask(level.shape)
            at = max(threshold, BODY_SHARE * look.contrast)
            wanted = BlobFilter(at, 0.05 * look.area, np.inf, most=animals)
            swept = np.zeros_like(mask)
            found = []
            for image in stack:
                difference = cv2.bitwise_and(preparation.compare(level[window], image[window]), mask)
                swept |= np.asarray(difference) > at
                found.append(find_blobs(difference, wanted))
            blobs = _typical(np.concatenate(found), animals)
            seen.append(blobs)
            if len(blobs) and cv2.countNonZero(swept) > _TRAVELLED * np.median(blobs["area"]):
                travelled.append(blobs)
        typical = _typical(np.concatenate(travelled or seen), animals)
        if not len(typical):
            return look, False
        moved = bool(travelled)  # of what has not, only front and back are seen
        look = Look(*(float(np.median(typical[name])) for name in ("area", "contrast", "length")))
    return look, moved


def _typical(blobs: Blobs, animals: int) -> Blobs:
    """Return those blobs that are one animal each: no specks, and no clumps where there are several."""
    if not len(blobs):
        return blobs
    mass = blobs["area"] * blobs["contrast"]
    if animals > 1:
        return _most_alike(blobs[mass >= 0.25 * np.median(mass)])
    return np.asarray(blobs[mass >= 0.5 * np.quantile(mass, 0.75)])


def _most_alike(blobs: Blobs) -> Blobs:
    """Return the blobs around the most common area."""
    areas = blobs["area"]
    alike = [int(np.count_nonzero(np.abs(np.log(areas / area)) < 0.15)) for area in areas[:500]]
    typical = areas[int(np.argmax(alike))]
    return np.asarray(blobs[np.abs(np.log(areas / typical)) < 0.25])


def _guess_look(level: Grey, rois: list[ROI], thresholds: tuple[float, ...]) -> Look | None:
    """Return the size that compact spots of the background have in most regions; None if there are none."""
    longest, least = max(roi.longest_axis for roi in rois), min(thresholds)
    looks = [Look(0.3 * (share * longest) ** 2, least, share * longest) for share in _GUESSES]
    counts = [
        sum(bool(find_spots(level, roi, look, least).any()) for roi in rois[:_MOST_GUESSED]) for look in looks
    ]
    return looks[int(np.argmax(counts))] if any(counts) else None


def find_spots(level: Grey, roi: ROI, look: Look, threshold: float) -> Grey:
    """Return 255 where the background itself holds what looks like an animal, in the window of `roi`."""
    size = int(1.3 * look.length) | 1
    margin = size
    rows, columns = roi.window(level.shape)
    wide = (
        slice(max(rows.start - margin, 0), rows.stop + margin),
        slice(max(columns.start - margin, 0), columns.stop + margin),
    )
    surroundings = level[wide]
    specks = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size // 3 | 1, size // 3 | 1))
    without_glare = cv2.morphologyEx(surroundings, cv2.MORPH_OPEN, specks)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    closed = cv2.morphologyEx(without_glare, cv2.MORPH_CLOSE, kernel)
    inner = (
        slice(rows.start - wide[0].start, rows.stop - wide[0].start),
        slice(columns.start - wide[1].start, columns.stop - wide[1].start),
    )
    darker = cv2.bitwise_and(cv2.subtract(closed[inner], level[rows, columns]), roi.mask(level.shape))
    at = max(threshold, 0.25 * look.contrast)
    _, binary = cv2.threshold(darker, at, 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    spots = np.zeros(darker.shape, np.uint8)
    for contour in contours:
        area, sides = cv2.contourArea(contour), cv2.minAreaRect(contour)[1]
        if 0.25 * look.area <= area <= 3 * look.area and max(sides) <= 2 * look.length:
            cv2.drawContours(spots, [contour], -1, 255, cv2.FILLED)
    return spots
