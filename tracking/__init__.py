"""Frames in, positions out: regions, backgrounds, trackers, result files and what is made of them."""

from tracking.errors import (
    EmptyRecordingError,
    ImportFileError,
    LayoutError,
    RegionError,
    ResultExistsError,
    ResultFileError,
    SettingsError,
    TargetsNotFoundError,
    TrackingError,
)
from tracking.export import EXPORTERS, Export, export
from tracking.importing import IMPORTERS, ImportedTracks, import_tracks
from tracking.layouts import LAYOUTS, Layout, Regions, open_layout
from tracking.layouts.check import Problem, check_regions
from tracking.layouts.finding import draw_regions, find_regions
from tracking.layouts.written import LayoutFile
from tracking.monitor import TrackSummary, monitor
from tracking.overlay import draw
from tracking.points import COLUMNS, POINT, Points, Status
from tracking.polygons import circle_through
from tracking.realign import Realignment, realign
from tracking.results import Results, ResultWriter, RunInfo, open_results, repair_results
from tracking.retrack import Retracked, median_image, retrack
from tracking.roi import ROI, Part
from tracking.score import Score, score
from tracking.targets import find_targets
from tracking.trackers import TRACKERS, Tracker

__all__ = [
    "COLUMNS",
    "EXPORTERS",
    "IMPORTERS",
    "LAYOUTS",
    "POINT",
    "ROI",
    "TRACKERS",
    "EmptyRecordingError",
    "Export",
    "ImportFileError",
    "ImportedTracks",
    "Layout",
    "LayoutError",
    "LayoutFile",
    "Part",
    "Points",
    "Problem",
    "Realignment",
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
    "Status",
    "TargetsNotFoundError",
    "TrackSummary",
    "Tracker",
    "TrackingError",
    "check_regions",
    "circle_through",
    "draw",
    "draw_regions",
    "export",
    "find_regions",
    "find_targets",
    "import_tracks",
    "median_image",
    "monitor",
    "open_layout",
    "open_results",
    "realign",
    "repair_results",
    "retrack",
    "score",
]
