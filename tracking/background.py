"""What the frames look like without animals, learnt from samples over the whole recording."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import FrameSequence, Image, ensure_grayscale
from tracking.detect import BlobFilter, Blobs, find_blobs
from tracking.errors import EmptyRecordingError
from tracking.roi import ROI

Grey = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

_MOST_BYTES = 400 << 20
_LEAST_THRESHOLD = 10  # grey levels; codecs change still pixels by less
_NOISE_FACTOR = 5
_SAME_LIGHT = 0.03  # share by which brightness may differ unnoticed

BODY_SHARE = 0.35
"""Pixels that differ by this share of an animal's contrast belong to it; less is shadow and blur."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The frame without animals.

    Attributes
    ----------
    image : (rows, columns), animals dark on it.
    spots : 255 where `image` is a guess, because something like an animal sat there nearly always.
    look : of the animals that were seen moving in front of it.
    threshold : difference that is above the noise, grey levels.
    """

    image: Grey
    spots: Grey
    look: Look
    threshold: float


@dataclass(frozen=True, slots=True)
class Preparation:
    """How images are made alike before they are compared: grey, 8 bit, of one brightness, animals dark.

    Attributes
    ----------
    light_animals : whether animals are lighter than what is around them.
    scale : grey levels of 8 bit per unit of pixels that are not.
    brightness : to which the median pixel is brought, so that lamps may dim and flicker; 0 to leave it.
    """

    light_animals: bool = False
    scale: float = 1.0
    brightness: float = 0.0

    def apply(self, image: Image) -> Grey:
        """Return an image, grey or colour, prepared and slightly smoothed, (rows, columns)."""
        grey = to_grey(image, self.scale)
        if self.brightness:
            gain = self.brightness / max(_brightness(grey), 1.0)
            if abs(gain - 1) > _SAME_LIGHT:
                grey = np.asarray(cv2.convertScaleAbs(grey, alpha=gain), np.uint8)
        smooth = cv2.blur(grey, (3, 3))
        return np.asarray(cv2.bitwise_not(smooth) if self.light_animals else smooth, np.uint8)


def to_grey(image: Image, scale: float) -> Grey:
    """Return an image as 8-bit grey; `scale` is for pixels that are not of 8 bit."""
    grey = ensure_grayscale(image)
    if grey.dtype == np.uint8:
        return grey
    return np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8)


def learn_preparation(samples: Image, *, light_animals: bool = False) -> Preparation:
    """Return the preparation that suits a recording, from grey samples of shape (n, rows, columns)."""
    scale = 1.0
    if samples.dtype != np.uint8:
        scale = 255 / (max(float(np.quantile(image, 0.999)) for image in samples) or 1.0)
    brightness = float(np.median([_brightness(to_grey(image, scale)) for image in samples]))
    return Preparation(light_animals, scale, brightness)


def sample_frames(frames: FrameSequence, most: int, progress: Progress | None = None) -> Image:
    """Return grey images spread evenly over a recording, shape (n, rows, columns), pixels as they are.

    Raises EmptyRecordingError if there are no frames.
    """
    if not len(frames):
        problems = getattr(frames, "problems", ())
        raise EmptyRecordingError("; ".join(["the recording holds no frames", *problems]))
    shape, dtype = (frames.spec.rows, frames.spec.columns), frames.spec.dtype
    room = max(3, _MOST_BYTES // (math.prod(shape) * dtype.itemsize))
    indices = np.linspace(0, len(frames) - 1, min(most, room, len(frames))).astype(int)
    samples = np.empty((len(indices), *shape), dtype)
    for place, index in enumerate(indices):
        samples[place] = ensure_grayscale(frames[int(index)].image)
        if progress is not None:
            progress(place + 1, len(indices))
    return samples


def _brightness(grey: Grey) -> float:
    """Return the median of some pixels."""
    step = max(1, min(grey.shape) // 50)
    return float(np.median(grey[::step, ::step]))


def learn_background(
    stack: Grey, rois: list[ROI], *, share: float = 0.8, length: float | None = None, animals: int = 1
) -> Background:
    """Learn the background of a recording.

    Every pixel takes the level that `share` of the samples do not exceed, so whatever dark sat there for
    less than that is gone. What sat there longer is still in it; where it looks like the animals that
    moved (or where none moved: like any compact dark spot), it is painted over from its surroundings.

    Parameters
    ----------
    stack : samples with dark animals, shape (n, rows, columns).
    rois : where animals are.
    share : of the samples, 0.5 (the median) to below 1.
    length : of an animal, pixels; None to learn it.
    animals : in each region at most.
    """
    rank = min(int(share * len(stack)), len(stack) - 1)
    level = np.partition(stack, rank, axis=0)[rank]
    noise = _noise(stack)
    threshold = max(_LEAST_THRESHOLD, _NOISE_FACTOR * noise)
    guess = length or 0.05 * max(roi.longest_axis for roi in rois)
    look = _learn_look(stack, level, rois, threshold, guess, animals)
    spots = np.zeros(level.shape, np.uint8)
    for roi in rois:
        window = roi.window(level.shape)
        spots[window] |= _find_spots(level, roi, look, threshold)
    image = level
    if spots.any():
        around = cv2.dilate(spots, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
        image = np.asarray(cv2.inpaint(level, around, 5, cv2.INPAINT_TELEA), np.uint8)
    return Background(image, spots, look, threshold)


def _noise(stack: Grey) -> float:
    """Return the standard deviation of a still pixel over time, grey levels."""
    rows = stack[:, :: max(1, stack.shape[1] // 64)].astype(np.int16)
    deviation = np.abs(rows - np.median(rows, axis=0))
    return float(1.4826 * np.median(deviation.mean(axis=0)))


def _learn_look(
    stack: Grey, level: Grey, rois: list[ROI], threshold: float, length: float, animals: int
) -> Look:
    """Return the look of what moves most in the regions, threshold by threshold."""
    look = Look(0.3 * length * length, threshold, length)
    for _ in range(2):
        at = max(threshold, BODY_SHARE * look.contrast)
        wanted = BlobFilter(at, 0.05 * look.area, np.inf, most=animals)
        found = [
            find_blobs(cv2.bitwise_and(cv2.subtract(level[window], image[window]), mask), wanted)
            for roi in rois
            for window, mask in [(roi.window(level.shape), roi.mask(level.shape))]
            for image in stack
        ]
        blobs = np.concatenate(found)
        if not len(blobs):
            return look
        mass = blobs["area"] * blobs["contrast"]
        typical = blobs[mass >= 0.5 * np.quantile(mass, 0.75)]
        if animals > 1:  # some are clumps of several
            typical = _most_alike(blobs[mass >= 0.25 * np.median(mass)])
        look = Look(*(float(np.median(typical[name])) for name in ("area", "contrast", "length")))
    return look


def _most_alike(blobs: Blobs) -> Blobs:
    """Return the blobs around the most common area."""
    areas = blobs["area"]
    alike = [int(np.count_nonzero(np.abs(np.log(areas / area)) < 0.15)) for area in areas[:500]]
    typical = areas[int(np.argmax(alike))]
    return np.asarray(blobs[np.abs(np.log(areas / typical)) < 0.25])


def _find_spots(level: Grey, roi: ROI, look: Look, threshold: float) -> Grey:
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
