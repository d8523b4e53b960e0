"""A whole result on one page."""

import numpy as np
from matplotlib.figure import Figure

from tracking.plots.strips import STRIP_INCHES, STRIPS_PER_COLUMN, put_strips
from tracking.plots.tracks import put_tracks
from tracking.plots.view import View, new_figure
from tracking.seen import share_text


def draw_page(view: View) -> Figure:
    """Return tracks over the background, position and speed of every region."""
    rois = view.results.rois
    rows = min(len(rois), STRIPS_PER_COLUMN)
    columns = -(-len(rois) // STRIPS_PER_COLUMN)
    figure = new_figure(9.5 + 7.5 * columns, max(7.5, 1.6 + STRIP_INCHES * rows))
    grid = figure.add_gridspec(1, 1 + columns, width_ratios=[9.0] + [7.5] * columns)
    put_tracks(figure.add_subplot(grid[0]), view)
    for column in range(columns):
        part = rois[column * STRIPS_PER_COLUMN : (column + 1) * STRIPS_PER_COLUMN]
        place = grid[1 + column].subgridspec(len(part), 2, wspace=0.06)
        put_strips(figure, place, part, view, ["position", "speed"])
    frames, traces = view.motion.total_frames, view.motion.traces.values()
    seen = sum(int(trace.found.sum(dtype=np.int64)) for trace in traces)
    most = max(1, frames * len(view.animals()))
    view.put_title(
        figure,
        str(view.results.attributes["tracker"]),
        f"{frames} frames, {len(rois)} region{'s' if len(rois) > 1 else ''}, "
        f"found in {share_text(seen / most)}",
    )
    return figure
