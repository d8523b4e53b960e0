"""Pictures made alike whatever the light, so that what is looked for in them stands out."""

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]

_DARK, _PALE, _WHITE = 40, 30, 250  # grey levels
_WHITE_SHARE = 0.2


def stretch(image: Grey) -> Grey:
    """Return an image whose darkest and lightest pixels, but for one in 200, are black and white."""
    low, high = np.quantile(image[::2, ::2], (0.005, 0.995))
    scaled = (image.astype(np.float32) - low) * (255 / max(float(high - low), 1.0))
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)


def flatten(image: Grey) -> Grey:
    """Return an image divided by its own light: what is wide and gradual in it is gone."""
    small = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
    # The median of a wide neighbourhood is the ground between dark things, where a mean would dip.
    light = cv2.GaussianBlur(np.asarray(cv2.medianBlur(small, 21), np.float32), (0, 0), 4)
    wide = cv2.resize(light, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(128.0 * image / np.maximum(wide, 1.0), 0, 255), np.uint8)


def smooth(image: Grey, share: float = 0.003) -> Grey:
    """Return an image blurred by a share of its longer side: noise goes, discs stay."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.8, share * max(image.shape))), np.uint8)


def describe_light(image: Grey) -> str:
    """Return what is wrong with the light of a picture, for a message; "" if nothing is."""
    middle = float(np.median(image))
    low, high = np.quantile(image, (0.01, 0.99))
    white = float((image >= _WHITE).mean())
    faults = []
    if white > _WHITE_SHARE:
        faults.append(f"{white:.0%} of the picture is white: less light, or a shorter exposure")
    elif middle < _DARK:
        faults.append(f"the picture is dark (median {middle:.0f} of 255): more light, or a longer exposure")
    if high - low < _PALE:
        faults.append(f"it has little contrast (grey levels {low:.0f} to {high:.0f})")
    return "; ".join(faults)
