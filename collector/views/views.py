"""
Views for users and other programs: what the folds hold at a tick, written in one transaction and never read back.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec
import redis
import structlog

from eventlog.clock import Clock
from eventlog.errors import EventLogError
from eventlog.store import hot as hots
from market.fixed_point import DECIMALS, format_e8
from market.instrument import Market
from market.timestamps import MINUTE_NS, iso
from projections.book.snapshot_window import Snapshot
from projections.state import MarketState, TickEntry
from projections.trades import minute_view
from projections.trades.minute_buckets import MinuteBuckets

PLAIN_MARKET = "binance:BTCFDUSD"
"""The market whose views carry no symbol in their names."""

TRADES = "trades_window"
BOOKS = "depth_snapshot_5000"

_log = structlog.get_logger()


def view_key(name: str, market: Market) -> str:
    """
    Redis key of a view: its name for BTCFDUSD, with the symbol appended for any other market.

    >>> view_key("trades_window", Market.parse("binance:ETHFDUSD"))
    'trades_window:ETHFDUSD'
    """
    return name if str(market) == PLAIN_MARKET else f"{name}:{market.symbol}"


class Views:
    """
    Publishes `trades_window`, `depth_snapshot_5000` and `views:{market}`.

    Args:
        connect: opens a connection, again after one broke.
        market: of the views.
        window_minutes: largest number of minutes in `trades_window`.
        clock: for `written_at`.

    Attributes:
        minutes, books: number of entries of the two lists on the server.
        failure: why the last tick's views could not be written; empty where they were.
    """

    def __init__(self, connect: Callable[[], Any], market: Market, window_minutes: int, clock: Clock) -> None:
        self.minutes = 0
        self.books = 0
        self.failure = ""
        self._connect = connect
        self._client = connect()
        self._market = market
        self._window_minutes = window_minutes
        self._clock = clock
        self._decimals = DECIMALS
        self._mark = self._seq = 0
        self._minutes: list[int] = []
        self._books: list[tuple[int, int]] = []

    def publish(self, tick: TickEntry, state: MarketState) -> None:
        """
        Write the views of a tick; if the server is away only this tick's views are lost. If it lost a view, all of them
        are written again.
        """
        try:
            with hots.translate_errors():
                if not self._is_complete():
                    self._forget()
                self._write(tick, state)
        except EventLogError as error:
            reason = self._describe_wrong_type() or str(error)
            if reason != self.failure:
                _log.warning("views not written", reason=reason, market=str(self._market))
            self.failure = reason
            self.minutes = self.books = 0
            self._forget()
            self._client = self._connect()
        else:
            if self.failure:
                _log.info("views are written again", market=str(self._market))
            self.failure = ""
            self.minutes, self.books = len(self._minutes), len(self._books)

    def check_server(self) -> None:
        """Check that the server still has the views; if not, the next tick writes all of them."""
        try:
            with hots.translate_errors():
                is_lost = bool(self._seq) and not self._is_complete()
        except EventLogError:
            return  # the next tick says so
        if is_lost:
            self._forget()
            self.failure = "the Redis server lost the views; the next tick writes them"
            self.minutes = self.books = 0
            _log.warning("views are missing", reason=self.failure, market=str(self._market))

    def _write(self, tick: TickEntry, state: MarketState) -> None:
        pipe = self._client.pipeline(transaction=True)
        self._decimals = state.quantity_decimals
        minutes = self._write_trades(pipe, state.buckets)
        books = self._write_books(pipe, state.snapshots.snapshots())
        fields = {
            "seq": tick.seq,
            "minute": iso(tick.boundary_ns),
            "written_at": iso(self._clock.now_ns()),
            **{f"digest:{name}": digest for name, digest in state.digests().items()},
        }
        pipe.hset(self._hash_key, mapping=cast(Any, fields))
        pipe.execute()
        self._minutes, self._books, self._seq = minutes, books, tick.seq

    @property
    def _hash_key(self) -> str:
        return f"views:{{{self._market}}}"

    def _forget(self) -> None:
        """Assume that the server has nothing, so that the next tick writes everything."""
        self._mark = self._seq = 0
        self._minutes, self._books = [], []

    def _is_complete(self) -> bool:
        """Whether the server still has what was written last."""
        if not self._seq:
            return False
        pipe = self._client.pipeline(transaction=False)
        pipe.hget(self._hash_key, "seq")
        pipe.llen(view_key(TRADES, self._market))
        pipe.llen(view_key(BOOKS, self._market))
        return bool(pipe.execute() == [str(self._seq).encode(), len(self._minutes), len(self._books)])

    def _describe_wrong_type(self) -> str:
        """A message about a key of another type that blocks a view; empty for none, or without an answer."""
        expected = {
            self._hash_key: b"hash",
            view_key(TRADES, self._market): b"list",
            view_key(BOOKS, self._market): b"list",
        }
        try:
            types = {name: self._client.type(name) for name in expected}
        except (redis.RedisError, OSError):
            return ""
        wrong = [name for name, kind in types.items() if kind not in (expected[name], b"none")]
        return f"{wrong[0]} on the Redis server is no {expected[wrong[0]].decode()}; remove it" if wrong else ""

    def _write_trades(self, pipe: Any, buckets: MinuteBuckets) -> list[int]:
        """Write only what changed: new minutes at the end, old ones off the front, late trades in place."""
        name = view_key(TRADES, self._market)
        self._mark, changed_minutes = buckets.changes_since(self._mark)
        first = buckets.end_ns - self._window_minutes * MINUTE_NS
        minutes = [m for m, _ in buckets.minutes(self._window_minutes)]
        still_listed = [m for m in self._minutes if m >= first]
        if changed_minutes is None or minutes[: len(still_listed)] != still_listed or not self._minutes:
            pipe.delete(name)
            still_listed, new_minutes = [], minutes
        else:
            pipe.ltrim(name, len(self._minutes) - len(still_listed), -1)
            new_minutes = minutes[len(still_listed) :]
            for minute_ns in sorted({m for m in changed_minutes if m in set(still_listed)}):
                pipe.lset(name, still_listed.index(minute_ns), self._encode_minute(buckets, minute_ns))
        if new_minutes:
            pipe.rpush(name, *(self._encode_minute(buckets, m) for m in new_minutes))
        return minutes

    def _encode_minute(self, buckets: MinuteBuckets, minute_ns: int) -> bytes:
        minute = buckets.minute(minute_ns)
        return (
            msgspec.json.encode(minute_view.to_json(minute_ns, minute, self._decimals)) if minute is not None else b"{}"
        )

    def _write_books(self, pipe: Any, snapshots: list[Snapshot]) -> list[tuple[int, int]]:
        """One book per minute; a minute whose newest book changed is written again."""
        name = view_key(BOOKS, self._market)
        slots = [(s.minute_ns, s.seq) for s in snapshots]
        expired_count = 0
        while expired_count < len(self._books) and (not slots or self._books[expired_count][0] < slots[0][0]):
            expired_count += 1
        still_listed = self._books[expired_count:]
        if [m for m, _ in slots[: len(still_listed)]] != [m for m, _ in still_listed] or not self._books:
            pipe.delete(name)
            still_listed = []
        elif expired_count:
            pipe.ltrim(name, expired_count, -1)
        for place, ((_, seq), snapshot) in enumerate(zip(still_listed, snapshots, strict=False)):
            if seq != snapshot.seq:
                pipe.lset(name, place, self._encode_book(snapshot))
        if len(snapshots) > len(still_listed):
            pipe.rpush(name, *(self._encode_book(s) for s in snapshots[len(still_listed) :]))
        return slots

    def _encode_book(self, snapshot: Snapshot) -> bytes:
        def side(prices: Any, quantities: Any) -> list[list[str]]:
            pairs = zip(prices.tolist(), quantities.tolist(), strict=True)
            return [[format_e8(p), format_e8(q, self._decimals)] for p, q in pairs]

        return msgspec.json.encode(
            {
                "symbol": self._market.symbol,
                "timestamp": iso(snapshot.response_ns),
                "last_update_id": snapshot.last_update_id,
                "bids": side(snapshot.bid_price_e8, snapshot.bid_quantity_e8),
                "asks": side(snapshot.ask_price_e8, snapshot.ask_quantity_e8),
            }
        )
