"""
The record of all signals over a log: where each was first sighted, where it stood, and the flow of the book.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from analysis.flow.flow_grid import FlowGrid, build_grid
from analysis.flow.flow_measures import measure_r2
from analysis.observe import Observer
from eventlog.store.log import Log
from market.arrays import F64, I64
from market.timestamps import SECOND_NS
from projections.state import MarketState, TickEntry
from replay.decisions import Ticks
from replay.signals.signals import FirstSightings, Sighting, find_sightings
from runtime.analysis_config import AnalysisConfig
from runtime.loop import drive
from runtime.warm_up import read_with_warm_up, state_of

_FLOW_INTERVALS_S = (1, 10)  # R² of each flow is measured over these
_MID, _KNOWN = "mid", "known"
# Flows by name, as columns of the record.
_FLOWS: dict[str, Callable[[FlowGrid], I64]] = {
    "ofi, best quote": lambda grid: grid.ofi_e8[:, 0],
    "ofi, five levels": lambda grid: grid.ofi_e8.sum(axis=1),
    "ofi_v13": lambda grid: grid.size_change_x20,
    "trades": lambda grid: grid.signed_e8,
}


@dataclass(frozen=True, slots=True)
class SignalOccurrences:
    """
    Where one signal stood.

    Attributes:
        tick: n tick numbers, never falling. price_e8: its price at each, 1e-8 quote, 0 for a direction.
    """

    tick: I64
    price_e8: I64

    def prices_at(self, tick: int) -> I64:
        """The prices at which it stood at a tick."""
        start, stop = np.searchsorted(self.tick, (tick, tick + 1))
        return self.price_e8[start:stop]


@dataclass(frozen=True, slots=True)
class SignalSamples:
    """
    The sightings of a log, and the ticks that controls are drawn from.

    Attributes:
        signal, tick: the n first sightings, and the number of the tick of each.
        at_ns, seq: of k ticks: when advice would have been out, and the tick's seq.
        reference_e8, unit_e8, near_e8: of k ticks: price, σ and ε as price distances, 1e-8 quote; 0 without σ.
        occurrences: by signal, all ticks at which it stood, first sightings or not.
        flow: for each tick, the seconds of book flow that it adds.
    """

    signal: Sequence[Sighting]
    tick: I64
    at_ns: I64
    seq: I64
    reference_e8: I64
    unit_e8: F64
    near_e8: I64
    occurrences: Mapping[str, SignalOccurrences]
    flow: Sequence[dict[str, I64]]


def record_signals(
    log: Log, ticks: Ticks, config: AnalysisConfig, publish_delay_ns: int, on_progress: Callable[[int], None]
) -> SignalSamples:
    """
    Analyse every tick of a stretch and record the signals at it.

    Args:
        log: the market log.
        ticks: the stretch; not empty.
        config: the symbol, windows and thresholds to analyse with.
        publish_delay_ns: from a tick's arrival until advice about it is out.
        on_progress: called with 1 for each tick.
    """
    state = state_of(log, config.windows)
    observer, first_filter = Observer(config.symbol, state, config.parameters), FirstSightings()
    publish_ns_by_seq = dict(zip(ticks.seq.tolist(), (ticks.recv_ns + publish_delay_ns).tolist(), strict=True))
    first_sightings: list[Sighting] = []
    sighting_ticks: list[int] = []
    moments: list[tuple[int, int, int, float, int]] = []
    occurrences: dict[str, array[int]] = {}
    flow: list[dict[str, I64]] = []
    boundaries_ns = [0]

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.seq not in publish_ns_by_seq:
            return
        on_progress(1)
        findings = observer.find(now)
        grid = build_grid(now.book_flow.seconds())
        flow.append(_flow_part(grid, boundaries_ns[-1]))
        boundaries_ns.append(tick.boundary_ns)
        if findings.reference_e8 is None or tick.trades != "live":
            return
        unit = findings.reference_e8 * (findings.sigma or 0.0)
        near_e8 = findings.flow.reach.near_e8 if findings.flow.reach is not None else 0
        current = list(find_sightings(findings, now, config.parameters.zone_reach_sigma))
        for sighting in current:
            if not sighting.as_control:
                occurrences.setdefault(sighting.signal, array("q")).extend((len(moments), sighting.price_e8 or 0))
        new = first_filter.select_new(tick.boundary_ns, current, near_e8)
        first_sightings.extend(new)
        sighting_ticks.extend([len(moments)] * len(new))
        moments.append((publish_ns_by_seq[tick.seq], tick.seq, findings.reference_e8, unit, near_e8))

    drive(read_with_warm_up(log, int(ticks.boundary_ns[0]), int(ticks.seq[-1]), config.windows), state, on_tick)
    columns: list[Sequence[float]] = list(zip(*moments, strict=True)) if moments else [()] * 5
    publish_ns, seq, reference, units, nears = columns
    return SignalSamples(
        signal=first_sightings,
        tick=np.array(sighting_ticks, np.int64),
        at_ns=np.array(publish_ns, np.int64),
        seq=np.array(seq, np.int64),
        reference_e8=np.array(reference, np.int64),
        unit_e8=np.array(units, np.float64),
        near_e8=np.array(nears, np.int64),
        occurrences={
            name: SignalOccurrences(*np.array(where, np.int64).reshape(-1, 2).T) for name, where in occurrences.items()
        },
        flow=flow,
    )


def flow_r2(record: SignalSamples) -> list[dict[str, Any]]:
    """
    R² of each flow on the mid over the stretch: in the same interval, and in the next.

    The seconds are those of the first tick's window, then those that each tick adds, without repetition.

    Returns:
        Rows of flow, interval and fits; none where no second has a book from start to end.
    """
    if not any(part[_KNOWN].any() for part in record.flow):
        return []
    rows = []
    for name in _FLOWS:
        values, mid, is_known = (np.concatenate([p[n] for p in record.flow]) for n in (name, _MID, _KNOWN))
        for interval in _FLOW_INTERVALS_S:
            fit = measure_r2(values, mid, is_known.astype(bool), interval)
            rows.append({"flow": name, "interval_s": interval, **msgspec.structs.asdict(fit)})
    return rows


def _flow_part(grid: FlowGrid, after_ns: int) -> dict[str, I64]:
    """The columns that `flow_r2` needs, of a window's seconds after a time; the window's first is never known."""
    first = max(0, (after_ns - grid.start_ns) // SECOND_NS)
    columns = {name: of(grid) for name, of in _FLOWS.items()} | {
        _MID: grid.mid_x2,
        _KNOWN: grid.complete.astype(np.int64),
    }
    return {name: column[first:].copy() for name, column in columns.items()}
