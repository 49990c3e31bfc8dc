"""
Views for people and other programs: what the folds hold at a tick, written in one transaction and never read back.
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


def key(name: str, market: Market) -> str:
    """A view's key: bare for BTCFDUSD, with the symbol appended for any other market."""
    return name if str(market) == PLAIN_MARKET else f"{name}:{market.symbol}"


class Views:
    """
    Publishes `trades_window`, `depth_snapshot_5000` and `views:{market}`.

    Args:
        connect: makes a connection, and a new one after it broke.
        window_minutes: how many minutes `trades_window` shows at most.

    Attributes:
        minutes, books: how many entries the two lists have on the server. failure: why the last tick's views could not
            be written; empty where they were.
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
        Write the views of a tick; a server that is away costs this tick's views and nothing else. One that came back
        empty, or from which somebody removed a view, is written to anew.
        """
        try:
            with hots.translate_errors():
                if not self._is_there():
                    self._forget()
                self._write(tick, state)
        except EventLogError as error:
            reason = self._wrong_type() or str(error)
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

    def look(self) -> None:
        """Miss what the server, or somebody, removed since the last tick; the next one writes it."""
        try:
            with hots.translate_errors():
                lost = bool(self._seq) and not self._is_there()
        except EventLogError:
            return  # the next tick says so
        if lost:
            self._forget()
            self.failure = "the Redis server lost the views; the next tick writes them"
            self.minutes = self.books = 0
            _log.warning("views are missing", reason=self.failure, market=str(self._market))

    def _write(self, tick: TickEntry, state: MarketState) -> None:
        pipe = self._client.pipeline(transaction=True)
        self._decimals = state.quantity_decimals
        minutes = self._trades(pipe, state.buckets)
        books = self._depth(pipe, state.snapshots.snapshots())
        fields = {
            "seq": tick.seq,
            "minute": iso(tick.boundary_ns),
            "written_at": iso(self._clock.now_ns()),
            **{f"digest:{name}": digest for name, digest in state.digests().items()},
        }
        pipe.hset(self._hash, mapping=cast(Any, fields))
        pipe.execute()
        self._minutes, self._books, self._seq = minutes, books, tick.seq

    @property
    def _hash(self) -> str:
        return f"views:{{{self._market}}}"

    def _forget(self) -> None:
        """Nothing is known of what the server holds: the next tick writes everything."""
        self._mark = self._seq = 0
        self._minutes, self._books = [], []

    def _is_there(self) -> bool:
        """Whether the server still holds what was written last."""
        if not self._seq:
            return False
        pipe = self._client.pipeline(transaction=False)
        pipe.hget(self._hash, "seq")
        pipe.llen(key(TRADES, self._market))
        pipe.llen(key(BOOKS, self._market))
        return bool(pipe.execute() == [str(self._seq).encode(), len(self._minutes), len(self._books)])

    def _wrong_type(self) -> str:
        """Which key is in the views' way; empty where none is, or nobody can say."""
        wanted = {self._hash: b"hash", key(TRADES, self._market): b"list", key(BOOKS, self._market): b"list"}
        try:
            found = {name: self._client.type(name) for name in wanted}
        except (redis.RedisError, OSError):
            return ""
        strange = [name for name, kind in found.items() if kind not in (wanted[name], b"none")]
        return f"{strange[0]} on the Redis server is no {wanted[strange[0]].decode()}; remove it" if strange else ""

    def _trades(self, pipe: Any, buckets: MinuteBuckets) -> list[int]:
        """Change only what changed: new minutes at the end, old ones off the front, late trades in place."""
        name = key(TRADES, self._market)
        self._mark, changed = buckets.changed_since(self._mark)
        first = buckets.end_ns - self._window_minutes * MINUTE_NS
        wanted = [m for m, _ in buckets.minutes(self._window_minutes)]
        kept = [m for m in self._minutes if m >= first]
        if changed is None or wanted[: len(kept)] != kept or not self._minutes:
            pipe.delete(name)
            kept, fresh = [], wanted
        else:
            pipe.ltrim(name, len(self._minutes) - len(kept), -1)
            fresh = wanted[len(kept) :]
            for minute_ns in sorted({m for m in changed if m in set(kept)}):
                pipe.lset(name, kept.index(minute_ns), self._minute(buckets, minute_ns))
        if fresh:
            pipe.rpush(name, *(self._minute(buckets, m) for m in fresh))
        return wanted

    def _minute(self, buckets: MinuteBuckets, minute_ns: int) -> bytes:
        minute = buckets.minute(minute_ns)
        return msgspec.json.encode(minute_view.view(minute_ns, minute, self._decimals)) if minute is not None else b"{}"

    def _depth(self, pipe: Any, snapshots: list[Snapshot]) -> list[tuple[int, int]]:
        """One book a slot; a slot whose newest book changed is written again."""
        name = key(BOOKS, self._market)
        wanted = [(s.minute_ns, s.seq) for s in snapshots]
        gone = 0
        while gone < len(self._books) and (not wanted or self._books[gone][0] < wanted[0][0]):
            gone += 1
        kept = self._books[gone:]
        if [m for m, _ in wanted[: len(kept)]] != [m for m, _ in kept] or not self._books:
            pipe.delete(name)
            kept = []
        elif gone:
            pipe.ltrim(name, gone, -1)
        for place, (held, snapshot) in enumerate(zip(kept, snapshots, strict=False)):
            if held[1] != snapshot.seq:
                pipe.lset(name, place, self._book(snapshot))
        if len(snapshots) > len(kept):
            pipe.rpush(name, *(self._book(s) for s in snapshots[len(kept) :]))
        return wanted

    def _book(self, snapshot: Snapshot) -> bytes:
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
