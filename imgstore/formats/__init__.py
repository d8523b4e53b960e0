"""Chunk formats: how the images of one chunk lie on disk. One file each, and this table."""

from imgstore.formats.base import ChunkFormat, ChunkReader, ChunkWriter
from imgstore.registry import Registry

FORMATS: Registry[ChunkFormat] = Registry(
    "format",
    {
        "npy": "imgstore.formats.arrays:NPY",
        "png": "imgstore.formats.images:PNG",
        "jpg": "imgstore.formats.images:JPG",
        "mjpeg/avi": "imgstore.formats.video:MJPEG_AVI",
        "avc1/mp4": "imgstore.formats.video:AVC1_MP4",
        "h264/mkv": "imgstore.formats.video:H264_MKV",
    },
)

__all__ = ["FORMATS", "ChunkFormat", "ChunkReader", "ChunkWriter"]
