"""What signals were worth, by hand: levels that held, directions that came true, each beside its control."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from analysis.flow.flow_grid import FlowGrid, build_grid
from analysis.flow.flow_measures import measure_r2
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE
from eventlog.store.log import Log
from market.timestamps import DAY_NS, MINUTE_NS, SECOND_NS
from projections.state import MarketState
from replay.decisions import Ticks, ticks_between
from replay.scoring.outcomes import HORIZONS_S
from replay.scoring.rules import ScoringRules
from replay.signals.signal_controls import draw_controls, select_sample
from replay.signals.signal_record import SignalOccurrences, SignalSamples, flow_r2, record_signals
from replay.signals.signal_scores import RandomLevels, SignalScore, load_price_path, score_random_levels, score_signals
from replay.signals.signal_table import signal_lines
from replay.signals.signals import SIGNALS, Sighting
from runtime.loop import drive
from runtime.open_log import open_log
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.playback.record import batches as recorded
from tests.market_builders import (
    MARKET,
    SIGHT,
    SMALL_WINDOWS,
    T0,
    a_market,
    e8,
    numbered,
    tick_columns,
    trade_columns,
    write_log,
)

RULES = ScoringRules(0, 0, 1.0, 0.0, 5, 1, 2.0, 2.0)
PRICES = {
    0: 100, 10: 99, 20: "98.5", 70: 101, 1000: 200, 1010: 198, 1030: 194, 1100: 199, 8000: 200,
}  # fmt: skip
MOMENTS = ((0, 100, 1.0), (1000, 200, 2.0))
"""Two ticks: second, price, σ as a distance."""


def a_seen(
    sightings: Sequence[tuple[int, Sighting]], moments: Sequence[tuple[int, Any, float]] = MOMENTS, near: Any = 0
) -> SignalSamples:
    """Sightings at ticks, by number, which stood there and nowhere else; ε in units of price."""
    standing = {}
    for name in {s.signal for _, s in sightings}:
        rows = sorted((t, s.price_e8 or 0) for t, s in sightings if s.signal == name and not s.as_control)
        standing[name] = SignalOccurrences(*np.array(rows, np.int64).reshape(-1, 2).T)
    return SignalSamples(
        signal=[s for _, s in sightings],
        tick=np.array([t for t, _ in sightings], np.int64),
        at_ns=np.array([T0 + s * SECOND_NS for s, _, _ in moments], np.int64),
        seq=np.zeros(len(moments), np.int64),
        reference_e8=np.array([e8(p) for _, p, _ in moments], np.int64),
        unit_e8=np.array([u * 1e8 for _, _, u in moments]),
        near_e8=np.full(len(moments), round(near * 1e8)),
        occurrences=standing,
        flow=[],
    )


def a_log(folder: Path, prices: dict[int, Any]) -> tuple[Log, Ticks]:
    """Trades at some seconds, and the tick from which they are read."""
    at = [T0 + s * SECOND_NS for s in prices]
    trades = trade_columns(at, [e8(p) for p in prices.values()])
    log = write_log(folder, numbered({TICK: tick_columns([T0 - 1]), AGG_TRADE: trades}))
    return log, Ticks(np.array([1]), np.array([T0 - 1]), np.array([T0 - 1]))


def scores_of(
    folder: Path, record: SignalSamples, rules: ScoringRules = RULES, prices: dict[int, Any] = PRICES
) -> dict[tuple[str, str, int | None], SignalScore]:
    log, ticks = a_log(folder, prices)
    return {(s.signal, s.figure, s.horizon_s): s for s in score_signals(load_price_path(log, ticks), record, rules)}


LEVEL = Sighting("poc", True, e8(99))


def test_a_level_and_its_control_by_hand(tmp_path: Path) -> None:
    """
    99 is touched at 10 s and rejected at 101; its control lies one σ below the other tick's price, at 198, is touched
    at 1010 s and broken at 194.
    """
    scores = scores_of(tmp_path, a_seen([(0, LEVEL)]))
    rejection = scores["poc", "rejected", None]
    assert (rejection.sightings, rejection.samples, rejection.value, rejection.control_value) == (1, 1, 1.0, 0.0)
    assert (rejection.blocks, rejection.low, rejection.high, rejection.p) == (1, None, None, None)
    moves = [scores["poc", "move_bp", h] for h in HORIZONS_S]
    own = [round((p - 99) / 99 * 1e4, 4) for p in (98.5, 101, 101, 101, 199)]
    assert [m.value for m in moves] == own
    assert [m.control_value for m in moves] == [round((p - 198) / 198 * 1e4, 4) for p in (198, 194, 199, 199, 199)]
    hits = [scores["poc", "hit", h] for h in HORIZONS_S]
    assert [(h.value, h.control_value) for h in hits] == [(0.0, 0.5), (1.0, 0.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)]


def test_a_level_above_says_down(tmp_path: Path) -> None:
    """101 is touched at 70 s and broken when price stands at 200; a rise counts against it."""
    scores = scores_of(tmp_path, a_seen([(0, Sighting("poc", False, e8(101)))]))
    assert scores["poc", "rejected", None].value == 0.0
    assert scores["poc", "move_bp", 3600].value == round((101 - 199) / 101 * 1e4, 4)


def test_a_direction_and_its_control_by_hand(tmp_path: Path) -> None:
    """From 100 down to 99 in ten seconds and up to 101 later; the random minute starts at 200."""
    scores = scores_of(tmp_path, a_seen([(0, Sighting("cvd", False, None))]))
    assert ("cvd", "rejected", None) not in scores
    moves = [scores["cvd", "move_bp", h] for h in HORIZONS_S]
    assert [m.value for m in moves] == [100.0, 150.0, -100.0, -100.0, -9900.0]
    assert [m.control_value for m in moves] == [100.0, 300.0, 50.0, 50.0, 50.0]
    assert [scores["cvd", "hit", h].value for h in HORIZONS_S] == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_latency_comes_before_the_first_price(tmp_path: Path) -> None:
    """Ten seconds late the direction starts at 99: what fell before is not its merit."""
    late = replace(RULES, latency_ms=10_000)
    scores = scores_of(tmp_path, a_seen([(0, Sighting("cvd", False, None))]), late)
    assert scores["cvd", "move_bp", 10].value == round((99 - 98.5) / 99 * 1e4, 4)


def test_a_price_extreme_is_the_control_of_absorption(tmp_path: Path) -> None:
    """The control was sighted where the signal was not, and nothing is drawn by chance."""
    record = a_seen([(0, Sighting("absorption", True, e8(99))), (1, Sighting("absorption", True, e8(198), True))])
    rejection = scores_of(tmp_path, record)["absorption", "rejected", None]
    assert (rejection.sightings, rejection.value, rejection.control_value) == (1, 1.0, 0.0)


def test_controls_are_of_the_same_utc_day(tmp_path: Path) -> None:
    """A tick of the next day is never drawn, and a sighting alone in its day has no control."""
    day = DAY_NS // SECOND_NS
    prices = PRICES | {day: 50, day + 10: 49, day + 100: 40, day + 9000: 40}
    moments = (*MOMENTS, (day, 50, 0.5))
    first = scores_of(tmp_path / "a", a_seen([(0, LEVEL)], moments), prices=prices)
    assert first["poc", "rejected", None].control_value == 0.0
    assert first["poc", "move_bp", 10].control_value == 0.0
    alone = scores_of(tmp_path / "b", a_seen([(2, Sighting("poc", True, e8("49.5")))], moments), prices=prices)
    assert alone["poc", "rejected", None].control_value is None
    assert alone["poc", "rejected", None].value == 0.0


def test_draws_are_by_seed(tmp_path: Path) -> None:
    """Of forty ticks with forty different ends a seed draws the same four each time, another seed others."""
    chance = np.random.default_rng(8)
    prices = {60 * m + s: round(100 + float(chance.normal()), 2) for m in range(40) for s in (0, 30)} | {9000: 100}
    moments = [(60 * m, prices[60 * m], 1.0) for m in range(40)]
    record = a_seen([(20, Sighting("cvd", True, None))], moments)
    all_scores = [scores_of(tmp_path / str(n), record, replace(RULES, seed=s), prices) for n, s in enumerate((1, 1, 2))]
    assert all_scores[0] == all_scores[1]
    values = [m["cvd", "move_bp", 60].control_value for m in all_scores]
    assert values[0] != values[2]
    assert all_scores[0]["cvd", "move_bp", 60].value == all_scores[2]["cvd", "move_bp", 60].value


def test_a_touch_before_the_advice_was_known_does_not_count(tmp_path: Path) -> None:
    """Trades up to the tick's seq are what it was made from: with the touch among them the level stays untouched."""
    record = replace(a_seen([(0, LEVEL)]), seq=np.array([4, 0]))
    scores = scores_of(tmp_path, record, prices={0: 100, 10: 99, 20: 98, 70: 101, 9000: 101})
    assert scores["poc", "rejected", None].value is None
    assert scores["poc", "rejected", None].samples == 0


def test_nothing_sighted_is_said(tmp_path: Path) -> None:
    """Every signal is in the list without a figure, and a line says so; so does one about book flow."""
    scores = list(scores_of(tmp_path, a_seen([], [])).values())
    assert [name for name, _ in groupby(s.signal for s in scores)] == list(SIGNALS)
    assert {(s.sightings, s.value, s.control_value, s.p) for s in scores} == {(0, None, None, None)}
    lines = list(signal_lines(scores, [], []))
    assert lines[1:-2] == [f"{name}: not sighted" for name in SIGNALS]
    assert lines[-1] == "no whole book between ticks: nothing to say about book flow"


def a_score(**changed: Any) -> SignalScore:
    return replace(
        SignalScore("poc", "ordinary level, same distance", "rejected", None, 1200, 0.58, 0.5, 900, 3600, 0.01, 0.15,
                    40, 0.012), **changed,
    )  # fmt: skip


def test_lines_by_hand() -> None:
    """Value, control, interval, samples, corrected p; a rate also against 55 and 60 %."""
    rows = [
        a_score(), a_score(figure="move_bp", horizon_s=3600, value=-1.25, low=None, high=None, p=None),
        a_score(figure="hit", horizon_s=60, value=0.6, low=-0.01),
    ]  # fmt: skip
    explains = [{"flow": "trades", "interval_s": 10, "r2_same": 0.25, "r2_next": None, "intervals": 1234}]
    chance = [RandomLevels(0.5, 8.0, 2000, 1000, 12, 0.428), RandomLevels(4.0, 8.0, 0, 0, 0, None)]
    assert [" ".join(line.split()) for line in signal_lines(rows, chance, explains)][1:] == [
        "poc: sighted 1,200 times; control: ordinary level, same distance",
        "rejected 0.580 0.500 +0.010 … +0.150 900 0.012 55% yes (sure), 60% no",
        "move_bp 3600 s -1.250 0.500 – 900 too few blocks",
        "hit 60 s 0.600 0.500 -0.010 … +0.150 900 0.012 55% yes, 60% yes",
        "random levels touched rejected open n",
        "0.5 to 8 σ 0.500 0.428 12 2,000",
        "4 to 8 σ – – 0 0",
        "R² of flow on the mid same interval next interval n",
        "trades 10 s 0.2500 – 1,234",
    ]  # fmt: skip
    head, _, *figures, flow_head, flow = signal_lines(rows, [], explains)
    assert figures.pop().startswith("random levels")
    assert {line.index(" 0.500") + len(" 0.500") for line in figures} == {head.index("control") + len("control")}
    assert len(flow_head) == len(flow)


# Where controls are not drawn


def a_stretch(count: int) -> list[tuple[int, Any, float]]:
    """A tick a minute at a price of 100 and a σ of one."""
    return [(60 * m, 100, 1.0) for m in range(count)]


def test_a_direction_is_not_its_own_control() -> None:
    """Of ninety minutes the signal stands in eighty-six, one way or the other: the other four are its controls."""
    free = {7, 30, 31, 80}
    positions = [(m, Sighting("cvd", m % 2 == 0, None)) for m in range(90) if m not in free]
    record = a_seen(positions, a_stretch(90))
    controls = [draw_controls(record, "cvd", select_sample(record, [0]), False, [seed]) for seed in range(200)]
    assert {t for c in controls for t in c.tick.tolist()} == free
    assert all(len(set(c.tick.tolist())) == len(c.tick) <= 4 for c in controls)
    assert {len(c.tick) for c in controls} > {1}  # after forty tries what was found has to do


def test_a_level_is_not_its_own_control() -> None:
    """Where price has not moved the drawn level is the level itself, for its hour, and within ε of it as well."""
    record = a_seen([(0, LEVEL)], a_stretch(90), near=0.25)
    controls = [draw_controls(record, "poc", select_sample(record, [0]), True, [seed]) for seed in range(50)]
    assert {t for c in controls for t in c.tick.tolist()} == set(range(60, 90))
    assert {p for c in controls for p in c.price_e8.tolist()} == {e8(99)}
    other_record = a_seen([(0, LEVEL)], [(0, 100, 1.0), (60, "100.25", 1.0), (120, "100.26", 1.0)], near=0.25)
    assert draw_controls(other_record, "poc", select_sample(other_record, [0]), True, [1]).tick.tolist() == [2]


def test_another_level_of_the_signal_is_no_control() -> None:
    """The drawn level lies at 109; there, and within ε of it, another point of control stands at two of three ticks."""
    moments = [(0, 100, 1.0), (60, 110, 1.0), (120, 110, 1.0), (180, 110, 1.0)]
    others = [(1, Sighting("poc", True, e8("109.25"))), (2, Sighting("poc", True, e8("108.74")))]
    record = a_seen([(0, LEVEL), *others, (3, Sighting("hvn", True, e8(109)))], moments, near=0.25)
    controls = draw_controls(record, "poc", select_sample(record, [0]), True, [1])
    assert (controls.tick.tolist(), controls.price_e8.tolist()) == ([2, 3], [e8(109), e8(109)])


# Levels that nobody chose


def test_a_level_is_touched_within_epsilon(tmp_path: Path) -> None:
    """99 is not reached by 99.2; with an ε of a quarter it is touched there, and rejected two σ above 99, at 101."""
    prices = {0: 100, 10: "99.2", 20: "100.99", 30: 101, 8000: 101}
    apart, near = (
        scores_of(tmp_path / name, a_seen([(0, LEVEL)], near=near), prices=prices)["poc", "rejected", None]
        for name, near in (("a", 0), ("b", 0.25))
    )
    assert (apart.samples, near.samples, near.value) == (0, 1, 1.0)
    prices = {0: 100, 10: "99.2", 20: "97.01", 25: "100.99", 30: 97, 8000: 97}
    breaks = scores_of(tmp_path / "c", a_seen([(0, LEVEL)], near=0.25), prices=prices)["poc", "rejected", None]
    assert (breaks.samples, breaks.value) == (1, 0.0)


def test_random_levels_by_hand(tmp_path: Path) -> None:
    """
    Price falls by six and comes back by two: of ten levels below, those down to 94 are touched, those above 96 broken;
    nothing above is touched, and of a stretch where price stands still nothing at all.
    """
    log, ticks = a_log(tmp_path, {0: 100, 10: 94, 20: 96, 8000: 96})
    rates = score_random_levels(load_price_path(log, ticks), a_seen([], [(0, 100, 1.0)]), RULES)
    assert [(r.from_sigma, r.to_sigma) for r in rates] == [(0.5, 8.0), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]
    assert rates[0].levels == 20 == sum(r.levels for r in rates[1:])
    assert [sum(getattr(r, n) for r in rates[1:]) for n in ("touched", "open")] == [rates[0].touched, rates[0].open]
    assert 1 <= rates[0].touched <= 10
    assert {r.rejected for r in rates[1:4]} <= {0.0, None}
    log, ticks = a_log(tmp_path / "still", {0: 100, 8000: 100})
    still = score_random_levels(load_price_path(log, ticks), a_seen([], [(0, 100, 1.0)]), RULES)
    assert [(r.touched, r.rejected) for r in still] == [(0, None)] * 5
    assert score_random_levels(load_price_path(log, ticks), a_seen([], []), RULES)[0] == RandomLevels(
        0.5, 8.0, 0, 0, 0, None
    )


# Book flow


def parts_of(flow: np.ndarray, mid_x2: np.ndarray, ends: Sequence[int]) -> SignalSamples:
    """Seconds cut into parts, as ticks would add them; the first is never known."""
    is_known = np.ones(len(flow), np.int64)
    is_known[0] = 0
    columns = dict.fromkeys(("ofi, best quote", "ofi, five levels", "ofi_v13", "trades"), flow)
    columns |= {"mid": mid_x2, "known": is_known}
    cuts = list(zip([0, *ends], [*ends, len(flow)], strict=True))
    return replace(a_seen([]), flow=[{n: c[a:b] for n, c in columns.items()} for a, b in cuts])


def test_a_flow_that_explains_everything() -> None:
    """Where the mid moves by exactly what flows, R² is 1 over one second and over ten, however the ticks cut it."""
    flow = np.random.default_rng(2).integers(-50, 51, 600)
    for ends in ((), (60, 120, 300), (7, 8, 431)):
        rows = flow_r2(parts_of(flow, 1000 + 2 * flow.cumsum(), ends))
        assert [(r["interval_s"], r["r2_same"], r["intervals"]) for r in rows] == [(1, 1.0, 599), (10, 1.0, 59)] * 4
        assert max(r["r2_next"] for r in rows) < 0.05
        assert [r["flow"] for r in rows[::2]] == ["ofi, best quote", "ofi, five levels", "ofi_v13", "trades"]


def test_no_whole_book_no_figure() -> None:
    """Without a known second there is nothing to say, not an R² of nothing."""
    nothing = parts_of(np.zeros(60, np.int64), np.zeros(60, np.int64), ())
    nothing.flow[0]["known"][:] = 0
    assert flow_r2(nothing) == flow_r2(a_seen([])) == []


@pytest.fixture(scope="module")
def book_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Twenty minutes of simulated trades, books and book updates."""
    folder = tmp_path_factory.mktemp("book")
    market = MarketEngine(MarketParameters(), np.random.Generator(np.random.PCG64(4)), T0)
    log = write_log(folder, numbered({TICK: tick_columns([T0])}))
    for batch in recorded(market, T0, 20, with_diffs=True):
        tables = {}
        for kind, rows in batch.rows.items():
            table = rows.table()
            at = table.schema.get_field_index("seq")
            seqs = np.asarray(table.column("seq").to_numpy()) + 1
            tables[kind] = table.set_column(at, table.schema.field(at), [seqs])
        log.cold.append(batch.first_seq + 1, batch.last_seq + 1, tables)
    return log


@pytest.mark.slow
def test_ticks_join_seconds_without_counting_one_twice(book_log: Log) -> None:
    """Gathered tick by tick, from the first or from the seventh on, R² is that of the last tick's whole window."""
    grids: list[FlowGrid] = []
    windows = replace(SMALL_WINDOWS, flow_seconds=1260)
    drive(book_log.read(), MarketState(windows), lambda _, now: grids.append(build_grid(now.book_flow.seconds())))
    complete = grids[-1]
    expected = [
        msgspec.structs.asdict(measure_r2(complete.ofi_e8[:, 0], complete.mid_x2, complete.complete, i))
        for i in (1, 10)
    ]
    assert expected[0]["intervals"] > 1000
    for after in (0, 7):
        ticks = ticks_between(book_log, T0 + after * MINUTE_NS - 1, 2**62)
        record = record_signals(book_log, ticks, replace(SIGHT, windows=windows), 0, lambda _: None)
        assert sum(len(part["mid"]) for part in record.flow) == 1260 + 60 * (len(ticks) - 1)
        rows = [r for r in flow_r2(record) if r["flow"] == "ofi, best quote"]
        assert [{k: r[k] for k in expected[0]} for r in rows] == expected


# From a log


def test_gathering_a_market_by_chance(tmp_path: Path) -> None:
    """Every tick of the stretch is told of; one that is not live is no moment; what is sighted is known by name."""
    log = write_log(tmp_path, a_market(33, 90))
    ticks = ticks_between(log, T0 + 40 * MINUTE_NS, 2**62)
    done: list[int] = []
    record = record_signals(log, ticks, SIGHT, 2_000_000_000, done.append)
    live = [r for b in log.read(kinds=[TICK]) for r in b.rows[TICK].columns.table.to_pylist() if r["trades"] == "live"]
    after = [r["seq"] for r in live if r["boundary_ns"] > T0 + 40 * MINUTE_NS]
    assert sum(done) == len(ticks) == 50
    assert record.seq.tolist() == after
    assert record.at_ns.tolist() == [r["recv_ns"] + 2_000_000_000 for r in live if r["seq"] in set(after)]
    names = {s.signal for s in record.signal}
    assert names <= set(SIGNALS)
    assert {"wall", "poc", "absorption"} <= names
    assert len(record.tick) == len(record.signal)
    assert np.all(np.diff(record.tick) >= 0)
    reach = record.unit_e8[record.tick] * SIGHT.parameters.zone_reach_sigma
    away = [
        abs(s.price_e8 - record.reference_e8[t]) for s, t in zip(record.signal, record.tick, strict=True) if s.price_e8
    ]
    assert max(away) <= max(reach)


def test_scores_of_a_market_by_chance_are_the_same_again(tmp_path: Path) -> None:
    """Two walks over the same log give the same figures, all of them JSON."""
    log = write_log(tmp_path, a_market(33, 60))
    ticks = ticks_between(log, 0, 2**62)
    all_scores = []
    for _ in range(2):
        with open_log(tmp_path, MARKET) as again:
            record = record_signals(again, ticks, SIGHT, 0, lambda _: None)
            all_scores.append(score_signals(load_price_path(again, ticks), record, RULES))
    assert all_scores[0] == all_scores[1]
    text = json.dumps([asdict(s) for s in all_scores[0]], allow_nan=False)
    assert len(json.loads(text)) == len(all_scores[0]) >= len(SIGNALS) * 2 * len(HORIZONS_S)
    assert all(s.samples <= s.sightings for s in all_scores[0])
