"""Frames in, positions out: regions, backgrounds, trackers, result files and what is made of them."""

from tracking.background import median_image
from tracking.cluster import DaskWorkers, open_scheduler, open_slurm, slurm_script
from tracking.compare import (
    Agreement,
    Comparison,
    ResultSide,
    TruthSide,
    check_same_recording,
    compare,
    read_truth,
)
from tracking.correct import Correction, find_frames, join_identities, split_identity, swap_identities
from tracking.errors import (
    ClusterError,
    CorrectionError,
    DetectorError,
    EmptyRecordingError,
    ImportFileError,
    LayoutError,
    RecordingMismatchError,
    RegionError,
    ResultExistsError,
    ResultFileError,
    SettingsError,
    TargetsNotFoundError,
    TrackingError,
    WorkerDiedError,
)
from tracking.export import EXPORTERS, Export, export
from tracking.importing import IMPORTERS, ImportedTracks, import_tracks
from tracking.layouts import LAYOUTS, Layout, Regions, allow_outside, open_layout
from tracking.layouts.check import Problem, check_regions
from tracking.layouts.finding import draw_regions, find_regions
from tracking.layouts.written import LayoutFile
from tracking.live import LiveFrames, track_live
from tracking.monitor import Monitor, PointSink, Stimulator, StopFlag, TrackSummary
from tracking.motion import MotionSettings
from tracking.overlay import draw
from tracking.overlay_video import may_be_of, open_source_of, save_overlay
from tracking.plan import TrackPlan, plan_like
from tracking.points import COLUMNS, POINT, Points, Status
from tracking.polygons import circle_through
from tracking.realign import Realignment, realign
from tracking.result_tables import Event
from tracking.result_writer import ResultWriter, RunInfo
from tracking.results import Results, open_results, repair_results
from tracking.retrack import Retracked, resume, retrack
from tracking.roi import ROI, Part
from tracking.score import Score, score
from tracking.seen import Seen, count_seen, mean_share, share_text
from tracking.settings import Setting, describe_settings, dump_settings, load_settings
from tracking.summary import AnimalSummary, Summary, summarize
from tracking.targets import find_targets
from tracking.trackers import TRACKERS, SplitTracker, Tracker
from tracking.windows import Animal, Bout, Motion, measure
from tracking.workers import LocalWorkers, Workforce
from tracking.worst import draw_worst

__all__ = [
    "COLUMNS",
    "EXPORTERS",
    "IMPORTERS",
    "LAYOUTS",
    "POINT",
    "ROI",
    "TRACKERS",
    "Agreement",
    "Animal",
    "AnimalSummary",
    "Bout",
    "ClusterError",
    "Comparison",
    "Correction",
    "CorrectionError",
    "DaskWorkers",
    "DetectorError",
    "EmptyRecordingError",
    "Event",
    "Export",
    "ImportFileError",
    "ImportedTracks",
    "Layout",
    "LayoutError",
    "LayoutFile",
    "LiveFrames",
    "LocalWorkers",
    "Monitor",
    "Motion",
    "MotionSettings",
    "Part",
    "PointSink",
    "Points",
    "Problem",
    "Realignment",
    "RecordingMismatchError",
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
    "Seen",
    "Setting",
    "SettingsError",
    "SplitTracker",
    "Status",
    "Stimulator",
    "StopFlag",
    "Summary",
    "TargetsNotFoundError",
    "TrackPlan",
    "TrackSummary",
    "Tracker",
    "TrackingError",
    "TruthSide",
    "WorkerDiedError",
    "Workforce",
    "allow_outside",
    "check_regions",
    "check_same_recording",
    "circle_through",
    "compare",
    "count_seen",
    "describe_settings",
    "draw",
    "draw_regions",
    "draw_worst",
    "dump_settings",
    "export",
    "find_frames",
    "find_regions",
    "find_targets",
    "import_tracks",
    "join_identities",
    "load_settings",
    "may_be_of",
    "mean_share",
    "measure",
    "median_image",
    "open_layout",
    "open_results",
    "open_scheduler",
    "open_slurm",
    "open_source_of",
    "plan_like",
    "read_truth",
    "realign",
    "repair_results",
    "resume",
    "retrack",
    "save_overlay",
    "score",
    "share_text",
    "slurm_script",
    "split_identity",
    "summarize",
    "swap_identities",
    "track_live",
]
