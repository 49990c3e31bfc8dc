"""All projections together, the views of a minute, and digests."""

import numpy as np

from eventlog.facts.capture import TICK
from market.timestamps import MINUTE_NS
from projections import digest
from projections.state import MarketState, Windows, read_ticks
from projections.trades import minute_view
from projections.trades.minute_buckets import MinuteBuckets
from tests.builders import T0, a_batch, a_snapshot, a_tick, a_trade, an_instrument


def test_every_projection_sees_its_own_kinds() -> None:
    """Trades, books and the grid go where they belong, and a tick moves every window."""
    state = MarketState(Windows(bucket_minutes=10, snapshot_slots=5, trade_minutes=3))
    assert (state.tick_size_e8, state.status) == (None, "unknown")
    facts = [an_instrument("0.01"), a_snapshot(), a_trade(1), an_instrument("0.10"), a_tick(snapshot_seq=2)]
    batch = a_batch(facts)
    state.apply(batch)
    (tick,) = read_ticks(batch.rows[TICK])
    assert (tick.seq, tick.boundary_ns, tick.trades, tick.snapshot_seq) == (5, T0 + MINUTE_NS, "live", 2)
    empty = MarketState(Windows(bucket_minutes=10, snapshot_slots=5, trade_minutes=3)).digests()
    state.close(tick)
    assert (state.tick_size_e8, state.status) == (10_000_000, "TRADING")
    assert state.buckets.end_ns == state.snapshots.end_ns == state.trades.end_ns == T0 + MINUTE_NS
    assert set(state.digests()) == {"book_flow", "minute_buckets", "order_book", "recent_trades", "snapshot_window"}
    assert all(state.digests()[name] != empty[name] for name in empty)


def test_warmup_covers_the_longest_window() -> None:
    """Ten minutes more than any window looks back."""
    assert Windows().warmup_ns == (72 * 60 + 10) * MINUTE_NS
    assert Windows(bucket_minutes=5, trade_minutes=290).warmup_ns == 300 * MINUTE_NS
    # An hour of flow, made by books that rest on snapshots of two hours.
    assert Windows(bucket_minutes=5, snapshot_slots=60, trade_minutes=9).warmup_ns == 190 * MINUTE_NS


def test_a_minute_is_shown_in_decimals() -> None:
    """The published words are the ones users already read."""
    buckets = MinuteBuckets(10)
    buckets.apply(a_batch([a_trade(1, "110000.25", "0.5"), a_trade(2, "110000.75", "0.2", seller=True)]))
    minute = buckets.minute(T0)
    assert minute is not None
    assert minute_view.to_json(T0, minute) == {
        "timestamp": "2024-01-01T00:00:00Z",
        "open": "110000.25",
        "high": "110000.75",
        "low": "110000.25",
        "close": "110000.75",
        "price_levels": {
            "110000": {
                "buy_volume": "0.5",
                "sell_volume": "0.2",
                "total_volume": "0.7",
                "delta": "0.3",
                "trade_count": 2,
                "buy_vol": "0.5",
                "sell_vol": "0.2",
                "total_vol": "0.7",
            }
        },
    }
    assert minute_view.to_level_table(T0, minute).to_pylist() == [
        {
            "minute": T0,
            "level_e8": 11_000_000_000_000,
            "buy_e8": 50_000_000,
            "sell_e8": 20_000_000,
            "total_e8": 70_000_000,
            "delta_e8": 30_000_000,
            "count": 2,
        }
    ]


def test_a_digest_knows_where_a_column_ends() -> None:
    """The same numbers in other columns are other columns; memory order does not matter."""
    one, two = np.array([1, 2, 3]), np.array([4])
    assert digest.of_columns(one, two) != digest.of_columns(np.array([1, 2]), np.array([3, 4]))
    wide = np.arange(10)
    assert digest.of_columns(wide[::2]) == digest.of_columns(wide[::2].copy())
    assert len(digest.of_columns()) == digest.SIZE
    assert digest.of_digests([b"a", b"b"]) != digest.of_digests([b"b", b"a"])
