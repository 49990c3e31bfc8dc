"""
The order-flow layer: where trade was accepted, what tested it, and how aggressively, tick after tick.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from analysis.book.static_book import StaticBook
from analysis.evidence import Evidence
from analysis.flow.book_flow import book_flow
from analysis.flow.flow_findings import BookFlowFindings
from analysis.grid import profile_row_e8
from analysis.parameters import Parameters
from analysis.trades.absorption import Absorption, add_replenishment, find_absorption, find_absorption_at
from analysis.trades.absorption_windows import Frame, build_frame
from analysis.trades.acceptance import Profile, build_profiles
from analysis.trades.crossings import Crossing, last_crossings
from analysis.trades.footprint import Cvd, Footprint, build_footprint, sum_cvd, sum_cvd_of_levels
from analysis.trades.level_tests import LevelRecord, Reach, build_reach, build_records, find_level_tests
from analysis.trades.naked_points import NakedPoint, NakedPoints
from analysis.trades.sweeps import Sweep, SweepFinder
from market.arrays import I64
from market.timestamps import MINUTE_NS
from projections.book.snapshot_window import Snapshot
from projections.state import MarketState
from projections.trades.trade_columns import Trades
from projections.trades.volume_profile import IncrementalProfile

_CVD_MINUTES = (5, 60, 240)  # the spans over which CVD is given
_NAKED_WEIGHT = 0.6  # strength as evidence, where an unambiguous control point has 1
_ABSORPTION_WEIGHT = 0.5  # strength as evidence; absorption has not beaten its control


class OrderFlow(msgspec.Struct, frozen=True):
    """
    The findings of the order-flow layer at a tick.

    Attributes:
        profiles: by minutes of the horizon; see `acceptance.build_profiles`. evidence: what a zone may rest on.
        horizons: number of horizons of the profile that show something of their own.
        reach: the distances of a test, None without σ. frame: the last minutes, cut for absorption.
        cvds: by minutes looked back. footprint: of the last hour.
        crossings: by void id, how price last went through it.
        book_flow: None where no trade and no change of the book is in the window.
    """

    profiles: Mapping[int, Profile | None] | None
    evidence: Sequence[Evidence]
    horizons: int
    reach: Reach | None
    frame: Frame | None
    naked_points: Sequence[NakedPoint]
    cvds: Mapping[int, Cvd]
    footprint: Footprint | None
    absorptions: Sequence[Absorption]
    sweeps: Sequence[Sweep]
    crossings: Mapping[str, Crossing | None]
    book_flow: BookFlowFindings | None


class OrderFlowLayer:
    """Analyses one market's trades, tick after tick; sums that can be updated from tick to tick are cached."""

    def __init__(self, state: MarketState, parameters: Parameters) -> None:
        self._parameters = parameters
        longest = state.windows.bucket_minutes
        self._profiles = [IncrementalProfile(state.buckets, h) for h in parameters.horizons_min if h <= longest]
        self._sweeps = SweepFinder(parameters.order_flow)
        self._naked = NakedPoints(state.buckets, parameters)

    def analyze(self, state: MarketState, sigma: float | None, static: StaticBook) -> OrderFlow:
        """
        Find everything that trades and changes of the book show at the state's last tick.

        Args:
            state: all folds, closed at that tick.
            sigma: as a fraction of price; None where there is none.
            static: the findings of the static layer; its voids are looked for in the trades.
        """
        parameters, flow = self._parameters, self._parameters.order_flow
        reference, tick, level = state.buckets.last_price_e8(), state.grid_e8(), state.level_e8()
        end, trades = state.buckets.end_ns, state.trades.columns()
        for profile in self._profiles:
            profile.refresh()
        profiles, evidence = build_profiles(self._profiles, reference, level, parameters)
        reach = None if reference is None else build_reach(sigma, reference, tick, flow)
        frame = build_frame(trades, reach, end, flow)
        absorptions = find_absorption(frame, level, flow)
        if reach is not None:
            absorptions = [
                _add_replenishment(absorption, state.snapshots.snapshots(), reach.near_e8) for absorption in absorptions
            ]
        naked_points = self._naked.find_points()
        evidence += [_naked_evidence(n, point) for n, point in enumerate(naked_points)]
        if reach is not None:
            evidence += [_absorption_evidence(n, absorption, reach) for n, absorption in enumerate(absorptions)]
        return OrderFlow(
            profiles=profiles,
            evidence=evidence,
            horizons=sum(profile is not None for profile in (profiles or {}).values()),
            reach=reach,
            frame=frame,
            naked_points=naked_points,
            cvds={m: self._cvd(m, state, trades) for m in _CVD_MINUTES},
            footprint=self._footprint(reference, level),
            absorptions=absorptions,
            sweeps=self._sweeps.find(trades, end),
            crossings=self._find_crossings(trades, reference, level, sigma, static),
            book_flow=book_flow(
                state.book_flow, state.order_book.status, tick, parameters.book_flow, state.quantity_decimals
            ),
        )

    def record_tests(self, state: MarketState, level_e8: I64, reach: Reach | None) -> list[LevelRecord]:
        """
        Record the tests of k levels in the trades of the window.

        Args:
            state: all folds, closed at a tick.
            level_e8: (k,) prices, 1e-8 quote.
            reach: the distances of a test; None gives records without tests.
        """
        tests = find_level_tests(state.trades.columns(), level_e8, reach, self._parameters.order_flow)
        return build_records(level_e8, [tests], state.buckets.end_ns, self._parameters.order_flow)

    def find_absorption_at(self, state: MarketState, level_e8: I64, frame: Frame | None) -> dict[int, Absorption]:
        """
        Find what some of k levels absorbed in the last minute: at bids below the price, at asks above it.

        Args:
            state: all folds, closed at a tick.
            level_e8: (k,) prices, 1e-8 quote.
            frame: of the same tick; None gives nothing.

        Returns:
            By level, for those that absorbed.
        """
        reference = state.buckets.last_price_e8()
        if reference is None or frame is None or len(frame.trades) == 0:
            return {}
        last, near_e8 = frame.trades.price_e8, frame.near_e8
        in_range = (level_e8 >= last.min() - near_e8) & (level_e8 <= last.max() + near_e8)
        absorptions = find_absorption_at(frame, level_e8[in_range], state.level_e8(), self._parameters.order_flow)
        books = state.snapshots.snapshots()
        return {
            a.level_e8: _add_replenishment(a, books, near_e8)
            for a in absorptions
            if (a.level_e8 < reference) == (a.side == "bid")
        }

    def _cvd(self, minutes: int, state: MarketState, trades: Trades) -> Cvd:
        """CVD from the trades, or from a profile of as many minutes, which has far fewer levels than trades."""
        profile = next((p for p in self._profiles if p.minutes == minutes), None)
        if profile is None or minutes > state.windows.trade_minutes:
            return sum_cvd(trades.between(state.buckets.end_ns - minutes * MINUTE_NS, state.buckets.end_ns))
        _, buy, sell, count = profile.levels()
        return sum_cvd_of_levels(buy, sell, count)

    def _footprint(self, reference: int | None, level_e8: int) -> Footprint | None:
        if reference is None or not self._profiles:
            return None
        levels, buy, sell, _ = self._profiles[0].levels()
        width = profile_row_e8(reference, self._parameters.row_bp, level_e8)
        return build_footprint(levels, buy, sell, width, self._parameters.order_flow)

    def _find_crossings(
        self, trades: Trades, reference: int | None, level_e8: int, sigma: float | None, static: StaticBook
    ) -> dict[str, Crossing | None]:
        void_edges = {
            f"V{side[0]}{n}": (v.low_e8, v.high_e8)
            for side, static_side in (static.sides or {}).items()
            for n, v in enumerate(static_side.voids or ())
        }
        if not void_edges or reference is None or sigma is None:
            return {}
        row_e8 = profile_row_e8(reference, self._parameters.row_bp, level_e8)
        sigma_e8 = round(sigma * reference)
        crossings = last_crossings(trades, list(void_edges.values()), sigma_e8, row_e8, self._parameters.order_flow)
        return dict(zip(void_edges, crossings, strict=True))


def _add_replenishment(absorption: Absorption, snapshots: Sequence[Snapshot], near_e8: int) -> Absorption:
    """Add what was displayed around the price in the books before and after, where both exist."""
    before = [s for s in snapshots if s.request_ns <= absorption.start_ns]
    after = [s for s in snapshots if s.request_ns >= absorption.stop_ns]
    if not before or not after:
        return absorption
    quantities = [_displayed_quantity(s, absorption, near_e8) for s in (before[-1], after[0])]
    return add_replenishment(absorption, *quantities)


def _displayed_quantity(book: Snapshot, absorption: Absorption, near_e8: int) -> int:
    prices, sizes = (
        (book.bid_price_e8, book.bid_quantity_e8)
        if absorption.side == "bid"
        else (book.ask_price_e8, book.ask_quantity_e8)
    )
    return int(sizes[np.abs(prices - absorption.price_e8) <= near_e8].sum())


def _naked_evidence(number: int, point: NakedPoint) -> Evidence:
    middle = (point.low_e8 + point.high_e8) // 2
    return Evidence(f"N{number}", "naked_poc", "acceptance", point.low_e8, point.high_e8, middle, _NAKED_WEIGHT)


def _absorption_evidence(number: int, absorption: Absorption, reach: Reach) -> Evidence:
    low, high = absorption.price_e8 - reach.near_e8, absorption.price_e8 + reach.near_e8
    return Evidence(f"A{number}", "absorption", "validation", low, high, absorption.price_e8, _ABSORPTION_WEIGHT)
