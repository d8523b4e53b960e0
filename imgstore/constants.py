"""Loopbio's module of this name: what the files and keys of a store are called."""

from subprocess import DEVNULL

from imgstore.extra import EXTRA_SUFFIXES
from imgstore.layout import LOCK_FILENAME, METADATA_FILENAME
from imgstore.metadata import STORE_KEY
from imgstore.sqlite_index import FILENAME

STORE_MD_KEY = STORE_KEY
STORE_MD_FILENAME = METADATA_FILENAME
STORE_LOCK_FILENAME = LOCK_FILENAME
STORE_INDEX_FILENAME = FILENAME
EXTRA_DATA_FILE_EXTENSIONS = EXTRA_SUFFIXES
FRAME_MD = ("frame_number", "frame_time")

__all__ = [
    "DEVNULL",
    "EXTRA_DATA_FILE_EXTENSIONS",
    "FRAME_MD",
    "STORE_INDEX_FILENAME",
    "STORE_LOCK_FILENAME",
    "STORE_MD_FILENAME",
    "STORE_MD_KEY",
]
