"""
Observes a market: from the state at a tick to the view that an analyst gets.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from analysis.book.book_side import Side
from analysis.book.static_book import StaticBook, StaticLayer, build_book_evidence
from analysis.book.walls import min_wall_quantity
from analysis.confluence import Confluence, build_confluences, cluster_evidence, validation_strength
from analysis.evidence import Evidence
from analysis.order_flow import OrderFlow, OrderFlowLayer
from analysis.parameters import Parameters
from analysis.render.tool_results import render_flow, render_static
from analysis.trades.absorption import Absorption
from analysis.trades.level_tests import LevelRecord
from analysis.trades.volatility import compute_sigma
from analysis.view import MarketView
from market.fixed_point import format_e8
from market.timestamps import MINUTE_NS, SECOND_NS, iso
from projections.book.order_book import OrderBook
from projections.state import MarketState, TickEntry

_CONSUMPTION_MINUTES = 60  # the hour over which the mean quantity a minute is taken
_WIDEST_LEVEL_BP = 10.0  # wider levels hide the nodes of a profile


class Findings(msgspec.Struct, frozen=True):
    """
    The findings of every detector at a tick.

    Attributes:
        sigma: see `volatility.compute_sigma`. zones: strongest first.
        tests: by evidence id, the record of the level that a zone is built around.
        absorptions: by the same id, what it absorbed of the last minute's aggressors, where that was much.
    """

    reference_e8: int | None
    sigma: float | None
    static: StaticBook
    flow: OrderFlow
    evidence: Sequence[Evidence]
    zones: Sequence[Confluence]
    tests: Mapping[str, LevelRecord]
    absorptions: Mapping[str, Absorption]


class Observer:
    """
    Observes one market's state, tick after tick.

    Its caches hold sums and findings that also follow from the state: a fresh observer gives the same results.
    """

    def __init__(self, symbol: str, state: MarketState, parameters: Parameters) -> None:
        self._symbol = symbol
        self._parameters = parameters
        self._digest = parameters.digest()
        self._static = StaticLayer(parameters)
        self._flow = OrderFlowLayer(state, parameters)

    def observe(self, tick: TickEntry, state: MarketState) -> MarketView:
        """The view of a tick, ready for an analyst; a function of the state alone."""
        return self.build_view(tick, state, self.find(state))

    def build_view(self, tick: TickEntry, state: MarketState, findings: Findings) -> MarketView:
        """
        Build the view of a tick from its findings.

        Args:
            tick: the state's last tick.
            state: all folds, closed at that tick.
            findings: see `find`.
        """
        newest = state.snapshots.latest()
        return MarketView(
            symbol=self._symbol,
            as_of_ns=tick.boundary_ns,
            as_of_seq=tick.seq,
            interval_ns=tick.interval_ns,
            trades=tick.trades,
            depth_state=tick.depth,
            reference_e8=findings.reference_e8,
            mid_e8=newest.mid_e8 if newest else None,
            sigma=findings.sigma,
            tick_size_e8=state.grid_e8(),
            parameters_digest=self._digest,
            state=state.digests(),
            evidence=tuple(findings.evidence),
            zones=tuple(findings.zones),
            reach_bp={side: static_side.book.reach_bp for side, static_side in (findings.static.sides or {}).items()},
            depth=render_static(findings.static, findings.sigma, self._parameters.pull.fit, state.quantity_decimals),
            order_flow=render_flow(
                findings.flow, findings.zones, findings.tests, findings.absorptions, state.quantity_decimals
            ),
            warnings=tuple(self._warnings(tick, state, findings)),
        )

    def find(self, state: MarketState) -> Findings:
        """Run every detector at the state's last tick."""
        parameters, tick_size = self._parameters, state.grid_e8()
        sigma = sigma_at(state, parameters)
        snapshots = state.snapshots.snapshots()
        current = state.order_book.as_snapshot() if state.order_book.trusted else None
        if current is not None and snapshots and current.last_update_id <= snapshots[-1].last_update_id:
            current = None  # no update since
        static = self._static.analyze(
            snapshots, state.trades.between, tick_size, _consumption_per_minute(state), current, state.quantity_decimals
        )
        reference = state.buckets.last_price_e8()
        flow = self._flow.analyze(state, sigma, static)
        evidence = [*build_book_evidence(static, snapshots[-1] if snapshots else None, parameters), *flow.evidence]
        zones, tests = self._find_confluences(evidence, state, reference, sigma, flow)
        evidence += [piece for z in zones for piece in z.evidence if piece.basis == "rejection"]
        levels = np.array([record.level_e8 for record in tests.values()], np.int64)
        absorption_by_level = self._flow.find_absorption_at(state, levels, flow.frame)
        absorptions = {
            name: absorption_by_level[record.level_e8]
            for name, record in tests.items()
            if record.level_e8 in absorption_by_level
        }
        return Findings(reference, sigma, static, flow, evidence, zones, tests, absorptions)

    def _find_confluences(
        self,
        evidence: Sequence[Evidence],
        state: MarketState,
        reference: int | None,
        sigma: float | None,
        flow: OrderFlow,
    ) -> tuple[list[Confluence], dict[str, LevelRecord]]:
        """The zones within reach, each tested against the trades of the last hours."""
        if reference is None or sigma is None or flow.reach is None:
            return [], {}
        parameters = self._parameters
        clusters = cluster_evidence(evidence, reference, int(reference * sigma * parameters.zone_reach_sigma))
        records = self._flow.record_tests(state, np.array([c.lead.price_e8 for c in clusters], np.int64), flow.reach)
        tests = {f"T{n}": record for n, record in enumerate(records)}
        near_e8 = flow.reach.near_e8
        validations = [_validation_evidence(name, record, near_e8) for name, record in tests.items()]
        return build_confluences(clusters, validations, flow.horizons, reference, parameters), tests

    def _warnings(self, tick: TickEntry, state: MarketState, findings: Findings) -> list[str]:
        warnings = [findings.static.reason] if findings.static.reason else []
        if tick.depth != "live" and state.snapshots.latest() is not None:
            warnings.append("the newest book is stale")
        if findings.reference_e8 is None:
            warnings.append("no trade in the window")
        elif findings.sigma is None:
            warnings.append(f"fewer than {self._parameters.sigma_least} minutes of trades: no volatility yet")
        if state.tick_size_e8 is None:
            warnings.append(f"no instrument on record: {_describe_tick_size(state)}")
        if state.status not in ("TRADING", "unknown"):
            warnings.append(f"the venue says {state.status}")
        return [*warnings, *self._misfits(state, findings), *_book_warnings(tick, state.order_book)]

    def _misfits(self, state: MarketState, findings: Findings) -> Iterator[str]:
        """
        Settings in coins that do not fit this market; without figures of the tick, so that a run warns of each once.
        """
        level, reference, parameters = state.windows.level_e8, findings.reference_e8, self._parameters
        if level is not None and reference is not None and level * 1e4 > _WIDEST_LEVEL_BP * reference:
            yield (
                f"price levels of {format_e8(level)} are wider than {_WIDEST_LEVEL_BP:g} bp of the price and hide what"
                " is in them; set data_collector.order_flow.price_precision to null"
            )
        min_quantity = min_wall_quantity(parameters, state.quantity_decimals)
        depths = [side.book.corridor_depth_e8 for side in (findings.static.sides or {}).values()]
        if depths and min_quantity > parameters.major_share * max(depths):
            yield (
                f"walls of less than {format_e8(parameters.min_wall_e8)} coins are passed over, which is more than"
                f" {parameters.major_share:.0%} of the book within {parameters.corridor_bp:g} bp;"
                " lower analyzer.analysis.min_order_volume_threshold"
            )


def _book_warnings(tick: TickEntry, book: OrderBook) -> list[str]:
    """What is wrong with the book rebuilt from updates, or was within the interval."""
    warnings = []
    gap, audit = book.gap, book.audit
    if book.status == "gap":
        warnings.append("updates of the book are missing: the book rebuilt from them waits for the next snapshot")
    elif gap is not None and gap.recv_ns > tick.boundary_ns - tick.interval_ns:
        warnings.append(
            f"updates of the book were missing at {_format_second(gap.recv_ns)}: it was rebuilt from a snapshot"
        )
    if book.status in ("live", "one_sided") and not book.in_reach:
        warnings.append("the price has left what the last snapshot reached: the book rebuilt from updates is not used")
    if audit is not None and not audit.healthy:
        levels, time = "1 level" if audit.differing == 1 else f"{audit.differing} levels", _format_second(audit.recv_ns)
        warnings.append(f"the book rebuilt from updates differed from the exchange's own at {time}: {levels}")
    return warnings


def _describe_tick_size(state: MarketState) -> str:
    if not len(state.trades.columns()) and state.snapshots.latest() is None:
        return "tick size unknown"
    return f"prices step by {format_e8(state.grid_e8())} as far as was seen"


def sigma_at(state: MarketState, parameters: Parameters) -> float | None:
    """σ at the state's last tick, see `compute_sigma`."""
    starts, bars = state.buckets.bars(parameters.sigma_minutes + 1)
    return compute_sigma(
        starts, bars[:, 3], state.buckets.end_ns, parameters.sigma_minutes, parameters.sigma_least, state.grid_e8()
    )


def _format_second(time_ns: int) -> str:
    return iso(time_ns - time_ns % SECOND_NS)


def _validation_evidence(name: str, record: LevelRecord, near_e8: int) -> Evidence | None:
    value = validation_strength(record)
    if value is None:
        return None
    level_e8 = record.level_e8
    return Evidence(name, "rejection", "validation", level_e8 - near_e8, level_e8 + near_e8, level_e8, value)


def _consumption_per_minute(state: MarketState) -> dict[Side, float]:
    """Mean quantity a minute over the last hour: sells consume bids, buys consume asks."""
    hour = list(state.buckets.minutes(_CONSUMPTION_MINUTES))
    first = state.buckets.first_minute()
    if not hour or first is None:
        return {"bid": 0.0, "ask": 0.0}
    covered_minutes = min(_CONSUMPTION_MINUTES, (state.buckets.end_ns - first) // MINUTE_NS)
    bought, sold = (sum(side) for side in zip(*(minute.sides_e8 for _, minute in hour), strict=True))
    return {"bid": sold / covered_minutes, "ask": bought / covered_minutes}
