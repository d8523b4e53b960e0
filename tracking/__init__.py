"""Frames in, positions out: regions, backgrounds, trackers, result files and what is made of them."""

from tracking.correct import Correction, find_frames, join_identities, split_identity, swap_identities
from tracking.errors import (
    CorrectionError,
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
from tracking.targets import find_targets
from tracking.trackers import TRACKERS, SplitTracker, Tracker

__all__ = [
    "COLUMNS",
    "EXPORTERS",
    "LAYOUTS",
    "POINT",
    "ROI",
    "TRACKERS",
    "Correction",
    "CorrectionError",
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
    "SettingsError",
    "SplitTracker",
    "Status",
    "TargetsNotFoundError",
    "TrackSummary",
    "Tracker",
    "TrackingError",
    "draw",
    "export",
    "find_frames",
    "find_targets",
    "join_identities",
    "median_image",
    "monitor",
    "open_layout",
    "open_results",
    "repair_results",
    "retrack",
    "score",
    "split_identity",
    "swap_identities",
]
