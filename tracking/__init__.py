"""Frames in, positions out: regions, backgrounds, trackers, result files and what is made of them."""

from tracking.compare import Agreement, Comparison, ResultSide, TruthSide, compare, read_truth
from tracking.errors import (
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
from tracking.motion import MotionSettings
from tracking.overlay import draw
from tracking.overlay_video import open_source_of, save_overlay
from tracking.points import COLUMNS, POINT, Points, Status
from tracking.results import Results, ResultWriter, RunInfo, open_results, repair_results
from tracking.retrack import Retracked, median_image, retrack
from tracking.roi import ROI
from tracking.score import Score, score
from tracking.summary import AnimalSummary, Summary, summarize
from tracking.targets import find_targets
from tracking.trackers import TRACKERS, Tracker
from tracking.windows import Animal, Bout, Motion, measure
from tracking.worst import draw_worst

__all__ = [
    "COLUMNS",
    "EXPORTERS",
    "LAYOUTS",
    "POINT",
    "ROI",
    "TRACKERS",
    "Agreement",
    "Animal",
    "AnimalSummary",
    "Bout",
    "Comparison",
    "EmptyRecordingError",
    "Layout",
    "LayoutError",
    "Motion",
    "MotionSettings",
    "Points",
    "RegionError",
    "Regions",
    "ResultExistsError",
    "ResultFileError",
    "ResultSide",
    "ResultWriter",
    "Results",
    "Retracked",
    "RunInfo",
    "Score",
    "SettingsError",
    "Status",
    "Summary",
    "TargetsNotFoundError",
    "TrackSummary",
    "Tracker",
    "TrackingError",
    "TruthSide",
    "compare",
    "draw",
    "draw_worst",
    "export",
    "find_targets",
    "measure",
    "median_image",
    "monitor",
    "open_layout",
    "open_results",
    "open_source_of",
    "read_truth",
    "repair_results",
    "retrack",
    "save_overlay",
    "score",
    "summarize",
]
