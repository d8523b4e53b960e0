"""Images kept as the camera gave them, Bayer mosaics above all, and turned into colour on reading."""

import re
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import cv2
import numpy as np

from imgstore.errors import FrameFormatError, UnknownNameError
from imgstore.frame import FrameSpec, Image

_CONVERSION = re.compile(r"COLOR_(?P<raw>\w+?)2BGR(?:_(?P<method>\w+))?")


@cache
def codes() -> Mapping[str, int]:
    """Return the codes of all encodings, each with OpenCV's number of the conversion.

    A code is made of the name of the constant: `COLOR_YUV2BGR_NV12` is "cv_yuv_nv12". What there is
    depends on the version of OpenCV.
    """
    found = {}
    for name in dir(cv2):
        match = _CONVERSION.fullmatch(name)
        if match is None or (match["method"] and "bayer" in match["raw"].lower()):
            continue  # finer ways to do the same to a mosaic
        code = "cv_" + match["raw"].lower().replace("_", "")
        if match["method"]:
            code += "_" + match["method"].lower().replace("_", "")
        found[code] = int(getattr(cv2, name))
    return MappingProxyType(found)


@cache
def codes_of_conversions() -> Mapping[int, str]:
    """Return OpenCV's numbers of the conversions with the code of each, the shortest if it has several."""
    ordered = sorted(codes().items(), key=lambda item: (-len(item[0]), item[0]))
    return MappingProxyType({number: code for code, number in ordered})


def is_mosaic(code: str) -> bool:
    """Return whether every pixel of such an image has one colour only, so that lossy video spoils it."""
    return code.startswith("cv_bayer")


def conversion(code: str) -> int:
    """Return OpenCV's number of the conversion. Raises UnknownNameError."""
    try:
        return codes()[code]
    except KeyError:
        raise UnknownNameError("encoding", code, codes()) from None


def decoder(code: str | None) -> Callable[[Image], Image]:
    """Return what makes an image in blue, green, red of an encoded one; nothing is done if `code` is empty.

    Raises UnknownNameError.
    """
    if not code:
        return _as_it_is
    number = conversion(code)
    return lambda image: cv2.cvtColor(image, number)


def decoded_spec(spec: FrameSpec, code: str | None) -> FrameSpec:
    """Return what frames of `spec` look like once they are decoded.

    Raises UnknownNameError, FrameFormatError if such frames cannot be encoded so.
    """
    try:
        image = decoder(code)(np.zeros(spec.shape, spec.dtype))
    except cv2.error as exc:
        raise FrameFormatError(f"{spec.dtype} of shape {spec.shape} cannot hold {code!r}") from exc
    return FrameSpec(image.shape, image.dtype)


def check_encoding(spec: FrameSpec, code: str, *, lossless: bool, stacklevel: int) -> None:
    """Raise unless frames of `spec` can be encoded so; warn if the format would spoil them.

    Raises UnknownNameError, FrameFormatError.
    """
    decoded_spec(spec, code)
    if is_mosaic(code) and not lossless:
        warnings.warn(
            f"a lossy format blurs the colours of the mosaic {code!r}; 'png' and 'npy' keep them apart",
            stacklevel=stacklevel + 1,
        )


def _as_it_is(image: Image) -> Image:
    return image
