"""Chunk formats: how the images of one chunk lie on disk. One kind each, and this table."""

from imgstore.formats.base import ChunkFormat, ChunkReader, ChunkWriter
from imgstore.formats.settings import FormatSettings
from imgstore.registry import Registry

FORMATS: Registry[ChunkFormat] = Registry(
    "format",
    {
        "npy": "imgstore.formats.arrays:NPY",
        "blosc2": "imgstore.formats.blosc:BLOSC2",
        "png": "imgstore.formats.images:PNG",
        "tif": "imgstore.formats.images:TIF",
        "jpg": "imgstore.formats.images:JPG",
        "bmp": "imgstore.formats.images:BMP",
        "ppm": "imgstore.formats.images:PPM",
        "pgm": "imgstore.formats.images:PGM",
        "png+color": "imgstore.formats.images:PNG_COLOUR",
        "tif+color": "imgstore.formats.images:TIF_COLOUR",
        "jpg+color": "imgstore.formats.images:JPG_COLOUR",
        "bmp+color": "imgstore.formats.images:BMP_COLOUR",
        "mjpeg/avi": "imgstore.formats.encoders:MJPEG_AVI",
        "avc1/mp4": "imgstore.formats.encoders:AVC1_MP4",
        "h264/mkv": "imgstore.formats.encoders:H264_MKV",
        "hevc/mkv": "imgstore.formats.encoders:HEVC_MKV",
        "av1/mkv": "imgstore.formats.encoders:AV1_MKV",
        "ffv1/mkv": "imgstore.formats.encoders:FFV1_MKV",
        "h264-nvenc/mkv": "imgstore.formats.encoders:H264_NVENC_MKV",
        "hevc-nvenc/mkv": "imgstore.formats.encoders:HEVC_NVENC_MKV",
    },
    extras={"blosc2": "blosc2"},
)

__all__ = ["FORMATS", "ChunkFormat", "ChunkReader", "ChunkWriter", "FormatSettings"]
