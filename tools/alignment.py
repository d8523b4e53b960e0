"""Say how stores that were recorded together lie against each other."""

from typing import Any

from imgstore import AlignedStores, StoreAlignment


def summarize_alignment(many: AlignedStores) -> dict[str, Any]:
    """Return the facts about aligned stores as plain values."""
    stores: dict[str, dict[str, Any]] = {name: {"frames": len(store)} for name, store in many.stores.items()}
    for name, one in many.alignment.items():
        stores[name] |= {
            "matched": one.matched,
            "unmatched": one.unmatched,
            "unmatched_master": one.unmatched_master,
            "offset_s": one.clock.offset_s,
            "drift_ppm": one.clock.drift_ppm,
            "residual_p50_s": one.clock.residual_p50_s,
            "residual_p95_s": one.clock.residual_p95_s,
            "warnings": list(one.warnings),
        }
    return {"master": many.master, "common_frames": len(many), "stores": stores}


def readable_alignment(many: AlignedStores) -> dict[str, object]:
    """Return the same as lines for people."""
    lines: dict[str, object] = {
        "master": f"{many.master}, {len(many.stores[many.master])} frames",
        "common frames": str(len(many)),
    }
    lines |= {name: _line(one, len(many.stores[name])) for name, one in many.alignment.items()}
    warnings = [line for one in many.alignment.values() for line in one.warnings]
    return lines | {"warnings": "; ".join(warnings) or "none"}


def _line(one: StoreAlignment, frames: int) -> str:
    if not one.matched:
        return f"{frames} frames, none matched"
    clock = one.clock
    return (
        f"{frames} frames, {one.matched} matched, {one.unmatched_master} of the master's missing, "
        f"offset {clock.offset_s:+.6g} s, drift {clock.drift_ppm:+.3g} ppm, "
        f"residual {1000 * clock.residual_p50_s:.3g} ms (95 %: {1000 * clock.residual_p95_s:.3g} ms)"
    )
