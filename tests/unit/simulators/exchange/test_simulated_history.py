"""The history before the start: cheap, seamless, and joined to the engine."""

import numpy as np
import pytest

from market.timestamps import HOUR_NS
from simulators.exchange.errors import ParameterError
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.trades import Trades
from simulators.exchange.venue.history import make_history
from simulators.exchange.venue.venue import Venue

START_NS = 1_700_000_000_000_000_000


def a_history(hours: float = 6.0, seed: int = 1, parameters: MarketParameters | None = None) -> Trades:
    return make_history(parameters or MarketParameters(), np.random.default_rng(seed), START_NS, hours)


def test_ids_run_without_a_gap_up_to_the_engine() -> None:
    """Agg ids and trade ids are contiguous and end one below the engine's first."""
    history = a_history()
    assert np.all(np.diff(history.agg_id) == 1)
    assert np.all(history.first_id[1:] == history.last_id[:-1] + 1)
    assert history.agg_id[-1] == 100_000_000
    assert history.last_id[-1] == 250_000_000


def test_times_never_fall_and_fill_the_hours() -> None:
    """Times are whole milliseconds within the hours requested, with no gap of minutes at either end."""
    history = a_history()
    assert np.all(np.diff(history.time_ns) >= 0)
    assert np.all(history.time_ns % 1_000_000 == 0)
    assert START_NS - 6 * HOUR_NS <= history.time_ns[0] < START_NS - 6 * HOUR_NS + 120 * 10**9
    assert START_NS - 120 * 10**9 < history.time_ns[-1] < START_NS


def test_prices_walk_to_the_start_price() -> None:
    """The last trades are at the start price's touch, and the hours before have moved as far as they should."""
    history = a_history(72.0)
    touch = 100_000 * 10**8
    assert np.min(np.abs(history.price_e8[-16:] - touch)) <= 1_000_000
    assert np.all(history.price_e8 % 1_000_000 == 0)
    hourly = np.log(history.price_e8[:: len(history) // 72].astype(float))
    assert 0.5 * 0.025 < np.std(np.diff(hourly)) * 24**0.5 < 2 * 0.025


def test_the_rate_is_the_one_asked_for() -> None:
    """72 hours hold about as many aggTrades as the parameters say."""
    assert len(a_history(72.0)) / (72 * 3_600) == pytest.approx(1.0, rel=0.05)


def test_a_seed_decides_the_history() -> None:
    """The same seed gives the same columns, another seed others."""
    assert np.array_equal(a_history(seed=3).columns, a_history(seed=3).columns)
    assert not np.array_equal(a_history(seed=3).columns[1, -100:], a_history(seed=4).columns[1, -100:])


def test_no_hours_mean_no_trades() -> None:
    """Zero hours are an empty history, and the ledger then starts at the engine's first id."""
    assert len(a_history(0.0)) == 0
    assert Venue(MarketParameters(), 1, START_NS, 0.0).ledger.next_agg_id == 100_000_001


def test_ids_that_would_fall_below_one_are_refused() -> None:
    """A history longer than the ids below the first is refused with the reason."""
    with pytest.raises(ParameterError, match="more ids"):
        a_history(parameters=MarketParameters(first_agg_id=10))


def test_history_and_market_make_one_ledger() -> None:
    """From history into live trading ids, trade ids and times go on without a seam."""
    venue = Venue(MarketParameters(), 5, START_NS, 2.0)
    before = len(venue.ledger)
    for _ in range(600):
        venue.step(venue.engine.now_ns + 100_000_000)
    trades = venue.ledger.dump()
    assert len(trades) > before + 30
    assert np.all(np.diff(trades.agg_id) == 1)
    assert np.all(trades.first_id[1:] == trades.last_id[:-1] + 1)
    assert np.all(np.diff(trades.time_ns) >= 0)
