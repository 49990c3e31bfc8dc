"""
The static layer: what the newest books show, as the result of the tool `depth_snapshot_analytsis`.
"""

from collections.abc import Sequence
from typing import Any

from analysis.grid import bin_width_e8, bp_between
from analysis.parameters import Parameters
from analysis.view import Evidence, price
from analysis.walls import Side, Wall, WallFinder, book_side
from market.fixed_point import DECIMALS, format_e8
from projections.snapshot_window import Snapshot

NO_BOOK = "no book was recorded: advice from trades alone"
EMPTY_SIDE = "a side of the newest book is empty: advice from trades alone"
_STRONG_SHARE = 0.06


def static_book(
    snapshots: Sequence[Snapshot],
    finder: WallFinder,
    tick_size_e8: int,
    minute_volume_e8: dict[Side, float],
    sigma: float | None,
    parameters: Parameters,
    decimals: int = DECIMALS,
) -> tuple[dict[str, Any], list[Evidence], list[str]]:
    """
    Walls and depth of the window's last book.

    Args:
        minute_volume_e8: mean quantity a minute that eats each side: sells eat bids, buys eat asks.
        decimals: that the market's quantities keep.

    Returns:
        The tool's result, the evidence it gives, and warnings.
    """
    newest = snapshots[-1] if snapshots else None
    mid = newest.mid_e8 if newest else None
    if newest is None or mid is None:
        reason = NO_BOOK if newest is None else EMPTY_SIDE
        return {"found": "nothing", "reason": reason}, [], [reason]
    width = bin_width_e8(mid, parameters.bin_per_price, tick_size_e8)
    result: dict[str, Any] = {"mid": price(mid), "bin": format_e8(width), "snapshots": len(snapshots)}
    evidence: list[Evidence] = []
    sides: tuple[Side, Side] = ("bid", "ask")
    for side in sides:
        book = book_side(newest, side, width, parameters)
        if book is None:
            continue
        walls = finder.walls(snapshots, side, width)
        result[side] = {
            "reach_bp": book.reach_bp,
            "corridor_depth": format_e8(book.corridor_depth_e8, decimals),
            "near_depth": format_e8(int(book.quantity_e8[: max(1, round(mid * 1e-3 / width))].sum()), decimals),
            "walls": [
                _rendered(w, f"W{side[0]}{n}", mid, sigma, minute_volume_e8[side], decimals)
                for n, w in enumerate(walls)
            ],
        }
        evidence += [_evidence(w, f"W{side[0]}{n}", width, mid, parameters) for n, w in enumerate(walls)]
    return result, evidence, []


def _rendered(wall: Wall, name: str, mid: float, sigma: float | None, eaten_e8: float, decimals: int) -> dict[str, Any]:
    distance = bp_between(wall.bin.price_e8, mid)
    return {
        "id": name,
        "bin": format_e8(wall.bin.price_e8),
        "quantity": format_e8(wall.bin.quantity_e8, decimals),
        "share": wall.bin.share,
        "contrast": wall.bin.contrast,
        "heavy_price": format_e8(wall.heavy_price_e8),
        "heavy_share": wall.heavy_share,
        "distance_bp": distance,
        "distance_sigma": round(distance / 1e4 / sigma, 2) if sigma else None,
        "seen": wall.seen,
        "age_min": wall.age_min,
        "at_least": wall.censored,
        "minutes_to_eat": round(wall.bin.quantity_e8 / eaten_e8, 2) if eaten_e8 else None,
        "major": wall.major,
    }


def _evidence(wall: Wall, name: str, width_e8: int, mid: float, parameters: Parameters) -> Evidence:
    margin = int(mid * parameters.zone_half_width_bp / 1e4)
    return Evidence(
        id=name,
        basis="wall",
        leg="static",
        low_e8=wall.bin.price_e8 - margin,
        high_e8=wall.bin.price_e8 + width_e8 + margin,
        price_e8=wall.heavy_price_e8,
        strength=round(min(1.0, wall.bin.share / _STRONG_SHARE), 4),
    )
