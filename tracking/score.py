"""How near positions are to known ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Score:
    """How near positions are to known ones.

    Attributes
    ----------
    known : how many positions are known.
    found : share of them for which there is a position.
    near : share of them for which there is one within `radius`.
    median, p95 : distance of those found, pixels; NaN if there are none.
    worst_roi, worst_near : the region with the smallest share within `radius`, and that share.
    radius : pixels.
    """

    known: int
    found: float
    near: float
    median: float
    p95: float
    worst_roi: int
    worst_near: float
    radius: float


def score(points: "pd.DataFrame", truth: "pd.DataFrame", *, radius: float = 10.0) -> Score:
    """Compare positions with known ones.

    Parameters
    ----------
    points : with columns number, roi, x, y; `Results.table()` is one.
    truth : with the same columns; one animal per region and frame.
    radius : pixels.
    """
    both = truth.merge(
        points[["number", "roi", "x", "y"]], on=["number", "roi"], how="left", suffixes=("_true", "")
    )
    rois = both["roi"].to_numpy(np.int64)
    offsets = both[["x", "y"]].to_numpy(np.float64) - both[["x_true", "y_true"]].to_numpy(np.float64)
    far = np.hypot(*offsets.T)
    near = far <= radius  # False where nothing was found
    by_roi = {int(roi): float(near[rois == roi].mean()) for roi in np.unique(rois)}
    worst = min(by_roi, key=lambda roi: by_roi[roi], default=0)
    seen = far[np.isfinite(far)]
    return Score(
        known=len(truth),
        found=len(seen) / max(1, len(truth)),
        near=float(near.mean()) if len(near) else 0.0,
        median=float(np.median(seen)) if len(seen) else np.nan,
        p95=float(np.quantile(seen, 0.95)) if len(seen) else np.nan,
        worst_roi=worst,
        worst_near=by_roi.get(worst, 0.0),
        radius=radius,
    )
