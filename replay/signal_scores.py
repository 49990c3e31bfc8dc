"""
What signals were worth: each figure beside its control's, at each horizon, with an interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from analysis.flow_grid import FlowGrid, grid_of
from analysis.flow_measures import explained
from analysis.observe import Observer
from eventlog.log import Log
from market.fixed_point import I64
from market.timestamps import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from projections.state import MarketState, TickEntry
from replay.decisions import Sight, Ticks, warmed_up
from replay.drive import drive
from replay.outcomes import BROKEN, F64, HORIZONS_S, REJECTED, Levels, test_levels
from replay.price_path import READS, PricePath
from replay.scoring import Rules
from replay.signals import SAME_DISTANCE, SIGNALS, FirstSightings, Sighting, sightings
from replay.statistics import difference, holm

TARGETS = (0.55, 0.60)
"""The hit rates asked of a signal."""

_SHORT_BLOCK_NS = 30 * MINUTE_NS
_LONG_BLOCK_NS = 2 * HOUR_NS  # an hour to the touch, an hour to the outcome
_DRAWS = 4
_FLOW_INTERVALS_S = (1, 10)
_MID, _KNOWN = "mid", "known"
_FLOWS: dict[str, Callable[[FlowGrid], I64]] = {
    "ofi, best quote": lambda grid: grid.ofi_e8[:, 0],
    "ofi, five levels": lambda grid: grid.ofi_e8.sum(axis=1),
    "ofi_v13": lambda grid: grid.size_change_x20,
    "trades": lambda grid: grid.signed_e8,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """Every sighting of a log, and the ticks that controls are drawn from."""

    signal: Sequence[Sighting]
    tick: I64
    at_ns: I64
    seq: I64
    reference_e8: I64
    unit_e8: F64
    flow: Sequence[dict[str, I64]]


@dataclass(frozen=True, slots=True)
class Trial:
    """n sightings of one signal or of its control, as columns; price 0 for a direction. `block_ns`: of its sighting."""

    up: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    price_e8: I64
    tick: I64
    sighted_ns: I64


@dataclass(frozen=True, slots=True)
class SignalScore:
    """
    One figure of one signal.

    Attributes:
        figure: `rejected` (touched levels that held), `hit` (price went the way it said) or `move_bp` (how far).
        horizon_s: None for `rejected`, which has an hour. p: Holm-corrected over all figures with a p.
    """

    signal: str
    control: str
    figure: str
    horizon_s: int | None
    sightings: int
    value: float | None
    control_value: float | None
    samples: int
    low: float | None
    high: float | None
    blocks: int
    p: float | None


def gather(log: Log, ticks: Ticks, sight: Sight, publish_delay_ns: int, on_progress: Callable[[int], None]) -> Seen:
    """Walk the log and note every signal at every tick of a stretch."""
    state = MarketState(sight.windows)
    observer, first = Observer(sight.symbol, state, sight.parameters), FirstSightings()
    out_ns = dict(zip(ticks.seq.tolist(), (ticks.recv_ns + publish_delay_ns).tolist(), strict=True))
    noted: list[Sighting] = []
    at: list[int] = []
    moments: list[tuple[int, int, int, float]] = []
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
        seen = list(sightings(found, now, sight.parameters.zone_reach_sigma))
        fresh = first.fresh(tick.boundary_ns, seen, round(unit * sight.parameters.order_flow.near_sigma))
        noted.extend(fresh)
        at.extend([len(moments)] * len(fresh))
        moments.append((out_ns[tick.seq], tick.seq, found.reference_e8, unit))

    last = int(ticks.seq[-1])
    drive(warmed_up(log, int(ticks.boundary_ns[0]), last, sight.windows), state, on_tick)
    columns: list[Sequence[float]] = list(zip(*moments, strict=True)) if moments else [()] * 4
    return Seen(
        noted, np.array(at, np.int64), np.array(columns[0], np.int64), np.array(columns[1], np.int64),
        np.array(columns[2], np.int64), np.array(columns[3], np.float64), flow,
    )  # fmt: skip


def score_signals(log: Log, ticks: Ticks, seen: Seen, rules: Rules) -> list[SignalScore]:
    """Every signal's figures beside its control's; signals never sighted are in the list, without figures."""
    path = PricePath.of(log.read(log.seq_before(int(ticks.boundary_ns[0])), None, list(READS), READS))
    scores: list[SignalScore] = []
    for number, (signal, control) in enumerate(SIGNALS.items()):
        mine = [i for i, s in enumerate(seen.signal) if s.signal == signal and not s.as_control]
        trial = _trial(seen, mine)
        if control == "price extreme alone":
            other = _trial(seen, [i for i, s in enumerate(seen.signal) if s.signal == signal and s.as_control])
        else:
            other = _drawn(seen, trial, control == SAME_DISTANCE, [rules.seed, number])
        scores += _scores(signal, control, trial, other, seen, path, rules)
    return [replace(s, p=p) for s, p in zip(scores, holm([s.p for s in scores]), strict=True)]


def flow_r2(seen: Seen) -> list[dict[str, Any]]:
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


def _trial(seen: Seen, chosen: Sequence[int]) -> Trial:
    tick = seen.tick[chosen] if chosen else np.empty(0, np.int64)
    return Trial(
        np.array([seen.signal[i].up for i in chosen], bool),
        np.array([seen.signal[i].price_e8 or 0 for i in chosen], np.int64),
        tick,
        seen.at_ns[tick],
    )


def _drawn(seen: Seen, trial: Trial, level: bool, seed: Sequence[int]) -> Trial:
    """For each sighting a few other ticks of its UTC day: the same direction, a level at the same distance in σ."""
    days = seen.at_ns // DAY_NS
    parts: list[tuple[I64, I64, I64]] = []
    for n in range(len(trial.tick)):
        here = int(trial.tick[n])
        usable = (days == days[here]) & (np.arange(len(days)) != here) & ((seen.unit_e8 > 0) | (not level))
        others = np.flatnonzero(usable)
        if len(others) == 0:
            continue
        chance = np.random.Generator(np.random.PCG64([*seed, n]))
        drawn = np.sort(chance.choice(others, min(_DRAWS, len(others)), replace=False))
        away = (float(trial.price_e8[n]) - seen.reference_e8[here]) / seen.unit_e8[here] if level else 0.0
        price = seen.reference_e8[drawn] + np.rint(away * seen.unit_e8[drawn]).astype(np.int64) if level else drawn * 0
        parts.append((np.full(len(drawn), n), drawn, price))
    if not parts:
        empty = np.empty(0, np.int64)
        return Trial(np.empty(0, bool), empty, empty, empty)
    source, tick, price = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Trial(trial.up[source], price, tick, trial.sighted_ns[source])


def _scores(
    signal: str, control: str, trial: Trial, other: Trial, seen: Seen, path: PricePath, rules: Rules
) -> list[SignalScore]:
    mine, theirs = _outcomes(trial, seen, path, rules), _outcomes(other, seen, path, rules)
    level = bool((trial.price_e8 > 0).any())
    rows: list[tuple[str, int | None, F64, F64]] = [("rejected", None, mine[0], theirs[0])] if level else []
    for column, horizon_s in enumerate(HORIZONS_S):
        hit, hit_control = (_hits(m[1][:, column]) for m in (mine, theirs))
        rows += [("hit", horizon_s, hit, hit_control),
                 ("move_bp", horizon_s, mine[1][:, column], theirs[1][:, column])]  # fmt: skip
    scores = []
    for figure, horizon, value, control_value in rows:
        short = not level and horizon is not None and horizon * SECOND_NS <= _SHORT_BLOCK_NS
        block_ns = _SHORT_BLOCK_NS if short else _LONG_BLOCK_NS
        found = difference(value, trial.sighted_ns // block_ns, control_value, other.sighted_ns // block_ns, rules.seed)
        scores.append(
            SignalScore(signal, control, figure, horizon, len(trial.tick), found.advice, found.placebo, found.samples,
                        found.low, found.high, found.blocks, found.p)
        )  # fmt: skip
    return scores


def _hits(move_bp: F64) -> F64:
    """1 where price went the way that was said, 0 where it went the other, half where it stood still."""
    return np.where(np.isnan(move_bp), np.nan, (np.sign(move_bp) + 1) / 2)


def _outcomes(trial: Trial, seen: Seen, path: PricePath, rules: Rules) -> tuple[F64, F64]:
    """
    Whether each level held (NaN where it was not touched or is open), and the move in the signal's direction at each
    horizon, basis points: from the trade that touched a level, from the last before the sighting of a direction.
    """
    start = seen.at_ns[trial.tick] + rules.latency_ms * 1_000_000
    after = seen.seq[trial.tick]
    way = np.where(trial.up, 1.0, -1.0)
    held = np.full(len(trial.tick), np.nan)
    level = trial.price_e8 > 0
    if level.any():
        unit = seen.unit_e8[trial.tick]
        away = np.rint(unit * rules.away_sigma).astype(np.int64)
        beyond = np.rint(unit * rules.beyond_sigma).astype(np.int64)
        levels = Levels(trial.up, trial.price_e8, trial.price_e8, away, beyond, start, start + HOUR_NS, after)
        tested = test_levels(path, levels)
        decided = (tested.outcome == REJECTED) | (tested.outcome == BROKEN)
        held[decided] = tested.outcome[decided] == REJECTED
        known, from_ns = tested.touch >= 0, path.at_ns[np.maximum(tested.touch, 0)] if len(path) else start
        base = np.where(known, path.price_e8[np.maximum(tested.touch, 0)] if len(path) else -1, -1)
    else:
        from_ns = start
        base = path.price_at(start)
        known = base > 0
    moves = np.full((len(trial.tick), len(HORIZONS_S)), np.nan)
    for column, horizon_s in enumerate(HORIZONS_S):
        later = path.price_at(from_ns + horizon_s * SECOND_NS)
        usable = known & (later > 0) & (base > 0)
        moves[usable, column] = np.round(way[usable] * (later[usable] - base[usable]) / base[usable] * 1e4, 4)
    return held, moves
