"""
Views as a model is shown them, and for each a decision that is sound: what the bad decisions are made from.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from agents.rules import RulesAnalyst
from agents.zones import shrink_to_grid
from analysis.confluence import Confluence
from analysis.view import MarketView
from market.fixed_point import format_e8
from projections.state import MarketState, TickEntry
from runtime.decide import Decider, TickDecision
from runtime.loop import drive
from tests.market_builders import SMALL, SMALL_WINDOWS, a_market, a_piece, a_view, batches, e8, meeting

_PIECES = (
    a_piece("Wb0", "99.4", "99.7", "99.6", 0.8),
    a_piece("P60.poc", "99.3", "99.65", "99.6", 0.4, "acceptance"),
    a_piece("Wb1", "98.9", "99.1", "99", 0.6),
    a_piece("Wa0", "100.3", "100.7", "100.5", 0.7),
    a_piece("Wa1", "100.9", "101.1", "101", 0.5),
)
_FAR = (a_piece("Wb9", "97", "97.2", "97.1"), a_piece("Wa9", "102.8", "103", "102.9"))
_REACH = {"bid": 250.0, "ask": 250.0}


@cache
def views() -> Mapping[str, MarketView]:
    """Views by name: with a book, without one, with evidence below only, on a coarse grid, and of a whole market."""
    below = [p for p in _PIECES if p.price_e8 < e8(100)]
    coarse = [
        a_piece("Wb0", 59_700, 59_760, 59_730, 0.9),
        a_piece("P60.val", 59_690, 59_740, 59_700, 0.5, "acceptance"),
        a_piece("Wa0", 60_300, 60_340, 60_320, 0.9),
    ]
    return {
        "book": a_view([*_PIECES, *_FAR], zones=meeting(_PIECES), reach_bp=_REACH),
        "bookless": a_view(_PIECES, zones=meeting(_PIECES), mid_e8=None, depth={"found": "nothing"}),
        "one_sided": a_view(below, zones=meeting(below), reach_bp=_REACH, mid_e8=e8("99.995") + 0.5),
        "coarse": a_view(
            coarse, zones=meeting(coarse, 60_000), reference_e8=e8(60_000), mid_e8=float(e8(60_000)),
            tick_size_e8=e8(5), reach_bp=_REACH,
        ),
        "market": _of_a_market(),
    }  # fmt: skip


def _of_a_market() -> MarketView:
    """The last view of a random hour and a half that has something to say on both sides of its price."""
    state = MarketState(SMALL_WINDOWS)
    decider = Decider("TESTUSDT", state, RulesAnalyst(SMALL), SMALL)
    seen: list[TickDecision] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        seen.append(decider.decide(tick, now))

    drive(batches(a_market(11, 90)), state, on_tick)
    return next(d.view for d in reversed(seen) if len(a_decision(d.view)["zones"]) > 1)


def a_decision(view: MarketView) -> dict[str, Any]:
    """The strongest zone of each side that may be advised, as a model would write it down."""
    found = {side: _best(view, side) for side in ("buy", "sell")}
    sides = [side for side, zone in found.items() if zone is not None]
    shares = {0: (), 1: (1,), 2: (0.6, 0.4)}[len(sides)]
    zones = [
        {"side": side, "low": found[side][1], "high": found[side][2], "weight": share, "evidence": [found[side][0].id],
         "reason": "held when it was tested"}
        for side, share in zip(sides, shares, strict=True)
    ]  # fmt: skip
    return {
        "reference": format_e8(view.reference_e8 or 0),
        "stance": {0: "stand_aside", 1: "bid_only" if "buy" in sides else "ask_only", 2: "two_sided"}[len(sides)],
        "reason": "walls that trade has tested",
        "zones": zones,
    }


def _best(view: MarketView, side: str) -> Any:
    """A zone with its edges on the grid, inside the book, and three ticks wide or more; None where there is none."""
    for zone in view.zones:
        low, high = edges(zone, view)
        if high - low >= 2 * view.tick_size_e8 and _allowed(view, side, low, high, zone):
            return zone, format_e8(low), format_e8(high)
    return None


def edges(zone: Confluence, view: MarketView) -> tuple[int, int]:
    """The first and the last price on the grid in a zone."""
    return shrink_to_grid(zone.low_e8, zone.high_e8, view.tick_size_e8)


def _allowed(view: MarketView, side: str, low: int, high: int, zone: Confluence) -> bool:
    reference = view.reference_e8 or 0
    bounds = [b for b in (reference, view.mid_e8) if b is not None]
    if (zone.price_e8 < reference) != (side == "buy"):
        return False
    if (high >= min(bounds)) if side == "buy" else (low <= max(bounds)):
        return False
    reach = view.reach_bp.get("bid" if side == "buy" else "ask")
    far = low if side == "buy" else high
    return view.mid_e8 is None or reach is None or abs(far / view.mid_e8 - 1) * 1e4 < reach
