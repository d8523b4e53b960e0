"""Words on pictures: on the copy that a person looks at, and on the recording if that is asked for."""

from datetime import UTC, datetime

import cv2
import numpy as np

from imgstore import Frame, Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINE = 14  # pixels, at scale 1
_SMALLEST = 0.35


def frame_text(frame: Frame) -> str:
    """Return number and time of a frame as a line."""
    moment = datetime.fromtimestamp(frame.time, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    return f"{frame.number}  {moment} UTC"


def caption(image: Image, lines: list[str]) -> Image:
    """Return a copy of an image with lines of text in its upper left corner, light on a dark ground.

    Parameters
    ----------
    image : (rows, columns) or (rows, columns, 3), of any whole or floating-point type; what is brightest in
        its type, for floating-point ones in the image, is the colour of the text.
    """
    written = np.ascontiguousarray(image).copy()
    scale = max(image.shape[1] / 1000, _SMALLEST)
    height = round(2.2 * _LINE * scale)
    light = float(np.iinfo(image.dtype).max) if image.dtype.kind in "ui" else float(image.max(initial=1))
    widest = max((cv2.getTextSize(line, _FONT, scale, 1)[0][0] for line in lines), default=0)
    ground = written[: height * len(lines) + height // 2, : widest + height]
    ground[:] = (ground * 0.3).astype(image.dtype)
    for place, line in enumerate(lines, 1):
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.putText(mask, line, (height // 3, place * height), _FONT, scale, 255, 1, cv2.LINE_8)
        written[mask > 0] = light
    return written
