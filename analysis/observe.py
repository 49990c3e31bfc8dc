"""
From the state at a tick to what an analyst is shown.
"""

from typing import Any

from analysis.order_flow import order_flow
from analysis.parameters import Parameters
from analysis.static_book import static_book
from analysis.view import Evidence, MarketView
from analysis.volatility import sigma
from analysis.walls import Side, WallFinder
from projections.profile import IncrementalProfile
from projections.state import MarketState, TickEntry

_EATING_MINUTES = 60


class Observer:
    """
    Looks at one market's state, tick after tick.

    What it keeps between ticks are sums and findings that are also in the state: a fresh observer sees the same.
    """

    def __init__(self, symbol: str, state: MarketState, parameters: Parameters) -> None:
        self._symbol = symbol
        self._parameters = parameters
        self._digest = parameters.digest()
        self._finder = WallFinder(parameters)
        longest = state.windows.bucket_minutes
        self._profiles = [IncrementalProfile(state.buckets, h) for h in parameters.horizons_min if h <= longest]

    def observe(self, tick: TickEntry, state: MarketState) -> MarketView:
        """Everything known at a tick; a function of the state alone."""
        parameters = self._parameters
        tick_size = state.tick_size_e8 or 1
        starts, bars = state.buckets.bars(parameters.sigma_minutes + 1)
        spread = sigma(
            starts, bars[:, 3], state.buckets.end_ns, parameters.sigma_minutes, parameters.sigma_least, tick_size
        )
        snapshots = state.snapshots.snapshots()
        depth, walls, warnings = static_book(
            snapshots, self._finder, tick_size, _eaten_a_minute(state), spread, parameters, state.quantity_decimals
        )
        reference = state.buckets.last_price_e8()
        flow, nodes = self._order_flow(state, reference)
        warnings += self._warnings(tick, state, reference, spread)
        newest = snapshots[-1] if snapshots else None
        return MarketView(
            symbol=self._symbol,
            as_of_ns=tick.boundary_ns,
            as_of_seq=tick.seq,
            interval_ns=tick.interval_ns,
            trades=tick.trades,
            depth_state=tick.depth,
            reference_e8=reference,
            mid_e8=newest.mid_e8 if newest else None,
            sigma=spread,
            tick_size_e8=tick_size,
            parameters_digest=self._digest,
            state=state.digests(),
            evidence=tuple(walls + nodes),
            depth=depth,
            order_flow=flow,
            warnings=tuple(warnings),
        )

    def _order_flow(self, state: MarketState, reference: int | None) -> tuple[dict[str, Any], list[Evidence]]:
        for profile in self._profiles:
            profile.refresh()
        if reference is None:
            return {"found": "nothing", "reason": "no trade in the window"}, []
        return order_flow(self._profiles, reference, state.windows.level_e8, self._parameters, state.quantity_decimals)

    def _warnings(self, tick: TickEntry, state: MarketState, reference: int | None, spread: float | None) -> list[str]:
        found = []
        if tick.depth != "live" and state.snapshots.latest() is not None:
            found.append("the newest book is stale")
        if reference is None:
            found.append("no trade in the window")
        elif spread is None:
            found.append(f"fewer than {self._parameters.sigma_least} minutes of trades: no volatility yet")
        if state.tick_size_e8 is None:
            found.append("no instrument on record: tick size unknown")
        if state.status not in ("TRADING", "unknown"):
            found.append(f"the venue says {state.status}")
        return found


def _eaten_a_minute(state: MarketState) -> dict[Side, float]:
    """Mean quantity a minute over the last hour: sells eat bids, buys eat asks."""
    sides = [minute.sides_e8 for _, minute in state.buckets.minutes(_EATING_MINUTES)]
    bought, sold = (sum(side) for side in zip(*sides, strict=True)) if sides else (0, 0)
    return {"bid": sold / _EATING_MINUTES, "ask": bought / _EATING_MINUTES}
