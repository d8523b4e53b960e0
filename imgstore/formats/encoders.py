"""The video formats: containers, encoders, what can be set about them and their profiles."""

import os

from imgstore.formats.settings import FormatSettings, Limit, SettingsTable
from imgstore.formats.video import GOP, Container, Encoder, VideoFormat

MKV = Container("matroska", ".mkv", 1_000, {"cluster_time_limit": "1", "flush_packets": "1"})
MP4 = Container(
    "mp4", ".mp4", 90_000, {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}
)
AVI = Container("avi", ".avi", None, {"flush_packets": "1"})

_LONG_GOP = 4 * GOP
_GOPS = range(1, 10_001)
_THREADS = range(1, 65)
_GREY = ("yuv420p",)
_YUV = ("yuv420p", "yuv444p")
_X26_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower")


def _limits(quality: range, presets: tuple[str, ...], *pixel_formats: str) -> dict[str, Limit]:
    return {
        "quality": quality,
        "preset": presets,
        "gop": _GOPS,
        "threads": _THREADS,
        "pixel_format": pixel_formats,
    }


def _profile(quality: int, preset: str, gop: int = GOP) -> FormatSettings:
    return FormatSettings(quality=quality, preset=preset, gop=gop, threads=2)


def _x264(settings: FormatSettings) -> dict[str, str]:
    """Return options without lookahead: each frame comes out at once, and a kill loses none."""
    rate = {"crf": str(settings.quality)} if settings.quality else {"qp": "0"}
    return {"preset": settings.preset or "veryfast", "tune": "zerolatency", **rate}


def _x265(settings: FormatSettings) -> dict[str, str]:
    """Return options without lookahead: each frame comes out at once, and with it, frames of less than
    some 32 pixels corrupt x265's memory."""
    parameters = [
        f"pools={settings.threads}",
        "log-level=none:open-gop=0:frame-threads=1:rc-lookahead=0:scenecut=0:bframes=0",
        "lossless=1" if settings.quality == 0 else f"crf={settings.quality}",
    ]
    return {"preset": settings.preset or "superfast", "x265-params": ":".join(parameters)}


def _svt(settings: FormatSettings) -> dict[str, str]:
    """Return options of low delay: each frame comes out at once, not 50 later."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only; nothing else keeps SVT from printing to stderr
    return {
        "preset": settings.preset or "10",
        "crf": str(settings.quality),
        "svtav1-params": f"lp={settings.threads}:pred-struct=1:lookahead=0",
    }


def _ffv1(settings: FormatSettings) -> dict[str, str]:
    coder = "0" if settings.preset == "rice" else "range_tab"
    return {"level": "3", "slices": "4", "slicecrc": "1", "coder": coder, "context": "0"}


def _mjpeg(settings: FormatSettings) -> dict[str, str]:
    return {"qmin": str(settings.quality), "qmax": str(settings.quality)}


def _nvenc(settings: FormatSettings) -> dict[str, str]:
    return {
        "preset": settings.preset or "p4",
        "rc": "vbr",
        "cq": str(settings.quality),
        "b": "0",
        "delay": "0",
        "zerolatency": "1",
        "forced-idr": "1",
    }


_H264 = Encoder("libx264", "h264", _x264, (*_GREY, "gray"), (*_YUV, "bgr24"), rgb_codec="libx264rgb")
_H264_TABLE = SettingsTable(
    _limits(range(52), _X26_PRESETS, *_YUV, "gray", "bgr24"),
    {
        "fast": _profile(23, "ultrafast"),
        "balanced": _profile(23, "veryfast"),
        "small": _profile(28, "faster", _LONG_GOP),
        "lossless": _profile(0, "ultrafast"),
    },
)

H264_MKV = VideoFormat("h264/mkv", MKV, _H264, _H264_TABLE)
AVC1_MP4 = VideoFormat("avc1/mp4", MP4, _H264, _H264_TABLE)
HEVC_MKV = VideoFormat(
    "hevc/mkv",
    MKV,
    Encoder("libx265", "hevc", _x265, (*_GREY, "gray"), (*_YUV, "gbrp"), smallest=16),
    SettingsTable(
        _limits(range(52), _X26_PRESETS, *_YUV, "gray", "gbrp"),
        {
            "fast": _profile(28, "ultrafast"),
            "balanced": _profile(28, "superfast"),
            "small": _profile(30, "fast", _LONG_GOP),
            "lossless": _profile(0, "ultrafast"),
        },
    ),
)
AV1_MKV = VideoFormat(
    "av1/mkv",
    MKV,
    Encoder("libsvtav1", "libdav1d", _svt, _GREY, _GREY, smallest=16, may_hang=True),
    SettingsTable(
        _limits(range(1, 64), tuple(map(str, range(14))), *_GREY),
        {
            "fast": _profile(35, "12"),
            "balanced": _profile(35, "10"),
            "small": _profile(40, "8", _LONG_GOP),
        },
    ),
)
_FFV1_USUAL = FormatSettings(preset="rice", gop=1, threads=2)
FFV1_MKV = VideoFormat(
    "ffv1/mkv",
    MKV,
    Encoder("ffv1", "ffv1", _ffv1, ("gray",), ("bgr0",), ("gray16le",), ("gbrp16le",)),
    SettingsTable(
        {"preset": ("rice", "range"), "gop": _GOPS, "threads": _THREADS},
        {
            "fast": _FFV1_USUAL,
            "balanced": _FFV1_USUAL,
            "small": FormatSettings(preset="range", gop=GOP, threads=2),
            "lossless": _FFV1_USUAL,
        },
    ),
)
MJPEG_AVI = VideoFormat(
    "mjpeg/avi",
    AVI,
    Encoder("mjpeg", "mjpeg", _mjpeg, ("yuvj420p",), ("yuvj420p", "yuvj444p")),
    SettingsTable(
        {"quality": range(2, 32), "threads": _THREADS, "pixel_format": ("yuvj420p", "yuvj444p")},
        {
            "fast": FormatSettings(quality=4, threads=2),
            "balanced": FormatSettings(quality=2, threads=2),
            "small": FormatSettings(quality=8, threads=2),
        },
    ),
)

_NVENC_TABLE = SettingsTable(
    _limits(range(1, 52), tuple(f"p{n}" for n in range(1, 8)), *_YUV),
    {"fast": _profile(23, "p1"), "balanced": _profile(23, "p4"), "small": _profile(28, "p6", _LONG_GOP)},
)
_NVIDIA = "an NVIDIA GPU with an encoder, its driver, and an FFmpeg build with NVENC"
H264_NVENC_MKV = VideoFormat(
    "h264-nvenc/mkv",
    MKV,
    Encoder("h264_nvenc", "h264", _nvenc, _GREY, _YUV, smallest=160, needs=_NVIDIA),
    _NVENC_TABLE,
)
HEVC_NVENC_MKV = VideoFormat(
    "hevc-nvenc/mkv",
    MKV,
    Encoder("hevc_nvenc", "hevc", _nvenc, _GREY, _YUV, smallest=160, needs=_NVIDIA),
    _NVENC_TABLE,
)
