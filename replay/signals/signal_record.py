"""
What a walk over a log noted: every signal where it was first sighted, where it stood, and the flow of the book.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analysis.flow.flow_grid import FlowGrid, grid_of
from analysis.flow.flow_measures import explained
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

_FLOW_INTERVALS_S = (1, 10)
_MID, _KNOWN = "mid", "known"
_FLOWS: dict[str, Callable[[FlowGrid], I64]] = {
    "ofi, best quote": lambda grid: grid.ofi_e8[:, 0],
    "ofi, five levels": lambda grid: grid.ofi_e8.sum(axis=1),
    "ofi_v13": lambda grid: grid.size_change_x20,
    "trades": lambda grid: grid.signed_e8,
}


@dataclass(frozen=True, slots=True)
class SignalOccurrences:
    """Where one signal stood: n ticks by number, never falling, and its price at each, 0 for a direction."""

    tick: I64
    price_e8: I64

    def prices_at(self, tick: int) -> I64:
        """The prices at which it stood at a tick."""
        start, stop = np.searchsorted(self.tick, (tick, tick + 1))
        return self.price_e8[start:stop]


@dataclass(frozen=True, slots=True)
class SignalSamples:
    """
    What was sighted in a log, and the ticks that controls are drawn from.

    Attributes:
        signal, tick: each first sighting, and at which tick.
        at_ns, seq: k ticks: when advice would have been out, and the last seq that was known.
        reference_e8, unit_e8, near_e8: price, σ and ε at each, as price distances; 0 where there is no σ.
        standing: by signal, everywhere it stood, first sightings or not.
        flow: what each tick adds to the book's flow.
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
    """Walk the log and note every signal at every tick of a stretch."""
    state = state_of(log, config.windows)
    observer, first = Observer(config.symbol, state, config.parameters), FirstSightings()
    out_ns = dict(zip(ticks.seq.tolist(), (ticks.recv_ns + publish_delay_ns).tolist(), strict=True))
    noted: list[Sighting] = []
    at: list[int] = []
    moments: list[tuple[int, int, int, float, int]] = []
    stood: dict[str, array[int]] = {}
    flow: list[dict[str, I64]] = []
    joined_ns = [0]

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.seq not in out_ns:
            return
        on_progress(1)
        found = observer.find(now)
        grid = grid_of(now.book_flow.seconds())
        flow.append(_flow_part(grid, joined_ns[-1]))
        joined_ns.append(tick.boundary_ns)
        if found.reference_e8 is None or tick.trades != "live":
            return
        unit = found.reference_e8 * (found.sigma or 0.0)
        near = found.flow.reach.near_e8 if found.flow.reach is not None else 0
        seen = list(find_sightings(found, now, config.parameters.zone_reach_sigma))
        for each in seen:
            if not each.as_control:
                stood.setdefault(each.signal, array("q")).extend((len(moments), each.price_e8 or 0))
        fresh = first.select_new(tick.boundary_ns, seen, near)
        noted.extend(fresh)
        at.extend([len(moments)] * len(fresh))
        moments.append((out_ns[tick.seq], tick.seq, found.reference_e8, unit, near))

    last = int(ticks.seq[-1])
    drive(warmed_up(log, int(ticks.boundary_ns[0]), last, config.windows), state, on_tick)
    columns: list[Sequence[float]] = list(zip(*moments, strict=True)) if moments else [()] * 5
    out, seq, reference, units, nears = columns
    return SignalSamples(
        signal=noted,
        tick=np.array(at, np.int64),
        at_ns=np.array(out, np.int64),
        seq=np.array(seq, np.int64),
        reference_e8=np.array(reference, np.int64),
        unit_e8=np.array(units, np.float64),
        near_e8=np.array(nears, np.int64),
        occurrences={
            name: SignalOccurrences(*np.array(where, np.int64).reshape(-1, 2).T) for name, where in stood.items()
        },
        flow=flow,
    )


def flow_r2(seen: SignalSamples) -> list[dict[str, Any]]:
    """
    R² of each flow on the mid over the whole stretch: in the same interval, and in the next.

    The seconds are those of the first tick's window, then what each tick adds, every second once.

    Returns:
        Nothing without a whole second of book.
    """
    if not any(part[_KNOWN].any() for part in seen.flow):
        return []
    rows = []
    for name in _FLOWS:
        values, mid, known = (np.concatenate([p[n] for p in seen.flow]) for n in (name, _MID, _KNOWN))
        for interval in _FLOW_INTERVALS_S:
            found = explained(values, mid, known.astype(bool), interval)
            rows.append({"flow": name, "interval_s": interval, **asdict(found)})
    return rows


def _flow_part(grid: FlowGrid, after_ns: int) -> dict[str, I64]:
    """The seconds of a window after a time, what `flow_r2` needs of them; a window's first second is never known."""
    first = max(0, (after_ns - grid.start_ns) // SECOND_NS)
    columns = {name: of(grid) for name, of in _FLOWS.items()} | {_MID: grid.mid_x2, _KNOWN: grid.known.astype(np.int64)}
    return {name: column[first:].copy() for name, column in columns.items()}
