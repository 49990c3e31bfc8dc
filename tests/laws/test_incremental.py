"""What is kept from tick to tick changes nothing: at any minute a fresh look at the same log gives the same bytes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from agents.rules import RulesAnalyst
from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.render.view_json import render_view
from eventlog.facts.capture import TICK
from eventlog.facts.market import INSTRUMENT
from market.timestamps import MINUTE_NS
from projections.state import BOOK_KINDS, MarketState, TickEntry, Windows
from runtime.loop import drive
from tests.market_builders import MARKET, Tables, a_market, batches, rows_between

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A market by chance, the windows it is seen through, and the minutes that are compared."""

    seed: int
    windows: Windows
    parameters: Parameters
    minutes: int
    from_minute: int
    count: int
    per_minute: int = 12

    @property
    def tables(self) -> Tables:
        """The market: late trades, books late and missing, ticks that say catching_up."""
        return a_market(self.seed, self.minutes, self.per_minute)

    @property
    def sampled(self) -> list[int]:
        """Which ticks are compared, by number from 0."""
        chance = np.random.default_rng(self.seed)
        return sorted(chance.choice(np.arange(self.from_minute, self.minutes), self.count, replace=False).tolist())


SHORT = Parameters(horizons_min=(10, 20, 30))
CASES = {
    "short": Case(
        61, Windows(bucket_minutes=30, snapshot_slots=8, trade_minutes=20, flow_seconds=600), SHORT, 150, 0, 60
    ),
    "books": Case(
        62, Windows(bucket_minutes=40, snapshot_slots=25, trade_minutes=30, flow_seconds=900), SHORT, 150, 20, 50
    ),
    "books_outlive_trades": Case(
        63, Windows(bucket_minutes=30, snapshot_slots=40, trade_minutes=15, flow_seconds=300), SHORT, 140, 30, 45
    ),
    "seldom_traded": Case(
        64, Windows(bucket_minutes=60, snapshot_slots=15, trade_minutes=45, flow_seconds=600),
        Parameters(horizons_min=(15, 60), sigma_least=3), 160, 0, 45, per_minute=2,
    ),
}  # fmt: skip


def looked(tables: Tables, case: Case, from_seq: int = 0) -> dict[int, bytes]:
    """What one observer that looks at every tick from a seq on sees, by seq."""
    state = MarketState(case.windows)
    observer = Observer(MARKET.symbol, state, case.parameters)
    views: dict[int, bytes] = {}

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.seq >= from_seq:
            views[tick.seq] = render_view(observer.observe(tick, now))

    drive(batches(tables), state, on_tick)
    return views


@pytest.mark.parametrize("name", CASES)
def test_a_fresh_observer_sees_what_the_old_one_sees(name: str) -> None:
    """At two hundred minutes in all, an observer made for that tick alone renders the long-lived one's bytes."""
    case = CASES[name]
    state = MarketState(case.windows)
    old = Observer(MARKET.symbol, state, case.parameters)
    rules = RulesAnalyst(case.parameters)
    sampled = set(case.sampled)
    kept: list[bytes] = []
    fresh: list[bytes] = []
    number = 0

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        nonlocal number
        view = old.observe(tick, now)
        if number in sampled:
            other = Observer(MARKET.symbol, now, case.parameters).observe(tick, now)
            kept.append(render_view(view) + rules.decide(view).render())
            fresh.append(render_view(other) + rules.decide(other).render())
        number += 1

    drive(batches(case.tables), state, on_tick)
    assert len(kept) == case.count
    assert [i for i in range(case.count) if kept[i] != fresh[i]] == []
    assert len(set(kept)) == case.count


def test_two_hundred_minutes_are_compared() -> None:
    """The cases above sum to two hundred minutes of hundreds, over windows of four shapes."""
    assert sum(case.count for case in CASES.values()) == 200


def warmed_up(tables: Tables, case: Case, minute: int, seq: int) -> bytes:
    """What is seen at a tick by one who started a warm-up before it, that of books later, knowing the grid."""
    arrivals = np.sort(np.concatenate([t.column("recv_ns").to_numpy() for t in tables.values()]))
    boundary_ns, windows = tables[TICK].column("boundary_ns")[minute].as_py(), case.windows
    late: dict[str, pa.Table] = {}
    for kind in tables:
        start_ns = boundary_ns - (windows.book_warmup_ns if kind in BOOK_KINDS else windows.warmup_ns)
        late |= rows_between({kind: tables[kind]}, max(1, int(np.searchsorted(arrivals, start_ns))), seq)
    return looked(late | {INSTRUMENT: tables[INSTRUMENT]}, case, seq)[seq]


@pytest.mark.parametrize("name", CASES)
def test_a_warm_up_is_all_the_past_there_is(name: str) -> None:
    """A state folded from the log's last stretch alone gives, at six minutes, the bytes of one that saw it all."""
    case = CASES[name]
    tables = case.tables
    whole = looked(tables, case)
    seqs = sorted(whole)
    last = case.minutes - 1
    for minute in np.linspace(min(case.windows.warmup_ns // MINUTE_NS + 1, last - 5), last, 6).astype(int).tolist():
        assert warmed_up(tables, case, minute, seqs[minute]) == whole[seqs[minute]]


@pytest.mark.soak
def test_the_windows_as_shipped() -> None:
    """With 72 h of minutes and 60 books, at six minutes of the fourth day, fresh, kept and warmed up agree."""
    case = Case(65, Windows(), Parameters(), 4_500, 4_400, 6, per_minute=4)
    tables, sampled = case.tables, case.sampled
    state = MarketState(case.windows)
    old = Observer(MARKET.symbol, state, case.parameters)
    seen: dict[int, tuple[int, bytes, bytes]] = {}
    number = 0

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        nonlocal number
        if number in sampled:
            fresh = render_view(Observer(MARKET.symbol, now, case.parameters).observe(tick, now))
            seen[number] = tick.seq, render_view(old.observe(tick, now)), fresh
        elif number % 60 == 0 or number > 4_395:
            old.observe(tick, now)
        number += 1

    drive(batches(tables), state, on_tick)
    assert sorted(seen) == sampled
    for minute, (seq, kept, fresh) in seen.items():
        assert kept == fresh == warmed_up(tables, case, minute, seq)
