"""Frames in, positions out: regions, backgrounds, trackers, result files and what is made of them."""

from tracking.errors import (
    DetectorError,
    EmptyRecordingError,
    LayoutError,
    RegionError,
    ResultExistsError,
    ResultFileError,
    SettingsError,
    TargetsNotFoundError,
    TrackingError,
)
from tracking.export import EXPORTERS, export
from tracking.layouts import LAYOUTS, Layout, Regions, open_layout
from tracking.monitor import TrackSummary, monitor
from tracking.overlay import draw
from tracking.points import COLUMNS, POINT, Points, Status
from tracking.results import Results, ResultWriter, RunInfo, open_results, repair_results
from tracking.retrack import Retracked, median_image, retrack
from tracking.roi import ROI
from tracking.score import Score, score
from tracking.settings import Setting, describe_settings, dump_settings, load_settings
from tracking.targets import find_targets
from tracking.trackers import TRACKERS, Tracker

__all__ = [
    "COLUMNS",
    "EXPORTERS",
    "LAYOUTS",
    "POINT",
    "ROI",
    "TRACKERS",
    "DetectorError",
    "EmptyRecordingError",
    "Layout",
    "LayoutError",
    "Points",
    "RegionError",
    "Regions",
    "ResultExistsError",
    "ResultFileError",
    "ResultWriter",
    "Results",
    "Retracked",
    "RunInfo",
    "Score",
    "Setting",
    "SettingsError",
    "Status",
    "TargetsNotFoundError",
    "TrackSummary",
    "Tracker",
    "TrackingError",
    "describe_settings",
    "draw",
    "dump_settings",
    "export",
    "find_targets",
    "load_settings",
    "median_image",
    "monitor",
    "open_layout",
    "open_results",
    "repair_results",
    "retrack",
    "score",
]
