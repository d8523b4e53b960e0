"""Chunked stores of frames with numbers and times: written by cameras, read by trackers.

`create` makes a store, `open` reads one, `open_video` reads a plain video the same way. The names of
loopbio's package of this name (`new_for_filename`, `new_for_format`, `VideoImgStore` ...) work as they do
there.
"""

from importlib.metadata import PackageNotFoundError, version

from imgstore.alignment import StoreAlignment
from imgstore.apps import main_test
from imgstore.decoder import image_of, set_decoder_threads
from imgstore.errors import (
    AlignmentError,
    ChunkError,
    ClosedError,
    EmptyStoreError,
    FrameFormatError,
    FrameIndexError,
    FrameNotFoundError,
    ImgstoreError,
    MetadataError,
    MissingDependencyError,
    NotAStoreError,
    OutputExistsError,
    SettingsError,
    StoreExistsError,
    StoreInUseError,
    UnknownNameError,
    VideoError,
)
from imgstore.events import Event
from imgstore.findings import SEVERITIES, Finding, Severity, Verification
from imgstore.follow import BrokenFrame
from imgstore.formats import FORMATS, FormatSettings
from imgstore.frame import Frame, FrameSequence, FrameSink, FrameSource, FrameSpec, Image
from imgstore.index import Gap, find_gaps
from imgstore.interrupt import deferred_interrupt, signals_held
from imgstore.layout import replacing
from imgstore.lost import LostFrames
from imgstore.matching import ClockFit
from imgstore.multi import AlignedStores, FrameSet, open_many
from imgstore.reader import StoreReader, open
from imgstore.registry import Registry
from imgstore.repair import Repaired, repair
from imgstore.safe_yaml import parse_yaml
from imgstore.samples import StreamSpec
from imgstore.signals import StreamReader
from imgstore.stores import (
    DirectoryImgStore,
    VideoImgStore,
    extract_only_frame,
    get_supported_formats,
    new_for_filename,
    new_for_format,
)
from imgstore.streams import StreamWriter
from imgstore.transcode.convert import Converted, convert
from imgstore.transcode.cut import cut
from imgstore.transcode.importing import find_images, import_images, import_video, is_picture
from imgstore.transcode.listing import save_extra, save_timecodes
from imgstore.transcode.movie import Exported, encode_video, export_video
from imgstore.transcode.span import NO_DATE_BELOW, RANGES_BY, RangeBy, check_dated, find_range
from imgstore.transcode.tiff import TIFF_COMPRESSIONS, ExportedTiff, TiffCompression, export_tiff
from imgstore.ui import is_window_open, open_window, why_no_window
from imgstore.util import ensure_color, ensure_grayscale
from imgstore.verify import verify
from imgstore.video import VideoFile, open_source, open_video
from imgstore.view import FrameView, frame_near, problems_of
from imgstore.wav import SavedWav
from imgstore.writer import DEFAULT_FORMAT, StoreWriter, create

test = main_test  # loopbio's name

try:
    __version__ = version("ethostore")
except PackageNotFoundError:  # used from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = [
    "DEFAULT_FORMAT",
    "FORMATS",
    "NO_DATE_BELOW",
    "RANGES_BY",
    "SEVERITIES",
    "TIFF_COMPRESSIONS",
    "AlignedStores",
    "AlignmentError",
    "BrokenFrame",
    "ChunkError",
    "ClockFit",
    "ClosedError",
    "Converted",
    "DirectoryImgStore",
    "EmptyStoreError",
    "Event",
    "Exported",
    "ExportedTiff",
    "Finding",
    "FormatSettings",
    "Frame",
    "FrameFormatError",
    "FrameIndexError",
    "FrameNotFoundError",
    "FrameSequence",
    "FrameSet",
    "FrameSink",
    "FrameSource",
    "FrameSpec",
    "FrameView",
    "Gap",
    "Image",
    "ImgstoreError",
    "LostFrames",
    "MetadataError",
    "MissingDependencyError",
    "NotAStoreError",
    "OutputExistsError",
    "RangeBy",
    "Registry",
    "Repaired",
    "SavedWav",
    "SettingsError",
    "Severity",
    "StoreAlignment",
    "StoreExistsError",
    "StoreInUseError",
    "StoreReader",
    "StoreWriter",
    "StreamReader",
    "StreamSpec",
    "StreamWriter",
    "TiffCompression",
    "UnknownNameError",
    "Verification",
    "VideoError",
    "VideoFile",
    "VideoImgStore",
    "check_dated",
    "convert",
    "create",
    "cut",
    "deferred_interrupt",
    "encode_video",
    "ensure_color",
    "ensure_grayscale",
    "export_tiff",
    "export_video",
    "extract_only_frame",
    "find_gaps",
    "find_images",
    "find_range",
    "frame_near",
    "get_supported_formats",
    "image_of",
    "import_images",
    "import_video",
    "is_picture",
    "is_window_open",
    "main_test",
    "new_for_filename",
    "new_for_format",
    "open",
    "open_many",
    "open_source",
    "open_video",
    "open_window",
    "parse_yaml",
    "problems_of",
    "repair",
    "replacing",
    "save_extra",
    "save_timecodes",
    "set_decoder_threads",
    "signals_held",
    "test",
    "verify",
    "why_no_window",
]
