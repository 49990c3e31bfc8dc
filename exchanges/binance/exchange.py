"""
Binance spot as the recorder's exchange: stream and REST behind one port, every message parsed before it is passed on.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import structlog

from eventlog.codec import Decode
from eventlog.errors import BadEntry
from eventlog.facts.capture import CLOCK_OFFSET, QUARANTINE, Quarantine
from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import AGG_TRADE, DIFF
from exchanges.binance.clock_offset import clock_offset
from exchanges.binance.feed.message_buffer import RawMessage
from exchanges.binance.feed.stall_detector import SilenceRules
from exchanges.binance.feed.stream import BinanceStream
from exchanges.binance.feed.watchdog import Watchdog, WatchedStream
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import BadMessage, unwrap
from exchanges.binance.rest import PAGE, BinanceRest
from exchanges.errors import BadReply
from exchanges.port import Arrival, Capabilities, HistoricalTrade, SilenceProof

EVENT_KINDS = {"aggTrade": AGG_TRADE, "depthUpdate": DIFF}
# Bounds of a stream's usual pause, which is learnt: quiet markets trade minutes apart.
TRADE_SILENCE = SilenceRules(min_s=15.0, max_s=300.0)
DIFF_SILENCE = SilenceRules(min_s=5.0, max_s=60.0)  # the book changes more often than it trades
CAPABILITIES = Capabilities(contiguous_trade_ids=True, trades_by_id=True, trades_page=PAGE, chained_diffs=True)

_OTHER = "other"
_ROUND_TRIPS = 7  # for one measurement of the clock offset
_ROUND_TRIP_PAUSE_S = 0.2  # between measurements, so that they are not of one burst

_log = structlog.get_logger()


class BinanceExchange:
    """
    Market data of one symbol.

    Args:
        rest: REST endpoints of this symbol.
        stream: of this symbol, or shared with other symbols.
        mapper: parses everything before it is logged; what it cannot parse becomes quarantine.
        trade_silence, diff_silence: how long each stream may be silent before it is probed.

    Attributes:
        mapper: as above; `instrument` sets its quantity decimals.
    """

    def __init__(
        self,
        rest: BinanceRest,
        stream: BinanceStream,
        mapper: BinanceMapper,
        trade_silence: SilenceRules = TRADE_SILENCE,
        diff_silence: SilenceRules = DIFF_SILENCE,
    ) -> None:
        self._rest = rest
        self._stream = stream
        self.mapper = mapper
        self._agg_id: int | None = None
        self._update_id: int | None = None
        self._quiet_ns = self._mute_ns = 0
        own = mapper.symbol.lower() + "@"
        self._streams = tuple(name for name in stream.streams if name.startswith(own))
        self._watchdog = Watchdog(stream, tuple(self._streams_to_watch(trade_silence, diff_silence)))

    @property
    def open_connections(self) -> int:
        """Number of feed connections that are open now."""
        return self._stream.open_connections

    @property
    def capabilities(self) -> Capabilities:
        """See `exchanges.port.Exchange.capabilities`."""
        return CAPABILITIES

    @property
    def silence_proof(self) -> SilenceProof:
        """See `exchanges.port.Exchange.silence_proof`."""
        return SilenceProof(self._quiet_ns, self._mute_ns)

    @property
    def decoders(self) -> Mapping[str, Decode]:
        """See `exchanges.port.Exchange.decoders`."""
        return self.mapper.decoders

    async def arrivals(self) -> AsyncGenerator[Sequence[Arrival], None]:
        """See `exchanges.port.Exchange.arrivals`."""
        batches = self._stream.batches(self._streams)
        watchdog_task = asyncio.create_task(self._watchdog.run())
        try:
            async for batch in batches:
                yield self.read(batch)
                if watchdog_task.done():
                    watchdog_task.result()
        finally:
            watchdog_task.cancel()
            await asyncio.gather(watchdog_task, return_exceptions=True)
            await batches.aclose()

    async def instrument(self) -> Fact:
        """
        Fetch the symbol's object of exchangeInfo; also sets the mapper's quantity decimals.

        Raises:
            BadReply: it is not as documented. UnknownSymbol, Refused, Unreachable: see `exchanges.errors`.
        """
        fact = await self._rest.instrument()
        try:
            table = self.mapper.instruments([Entry(0, fact.kind, fact.recv_ns, fact.data)])
        except BadEntry as error:
            raise BadReply(f"exchangeInfo is not as documented: {error}") from error
        self.mapper.quantity_decimals = table.column("quantity_decimals")[0].as_py()
        status = table.column("status")[0].as_py()
        if status != "TRADING":
            _log.warning("the venue does not trade this symbol now", symbol=self.mapper.symbol, status=status)
        return fact

    def grid_of(self, fact: Fact) -> tuple[object, ...]:
        """Status, tick size, lot size and minimum notional of an instrument fact, without its other fields."""
        row = self.mapper.instruments([Entry(0, fact.kind, fact.recv_ns, fact.data)]).to_pylist()[0]
        return tuple(row[name] for name in ("status", "tick_size_e8", "step_size_e8", "min_notional_e8"))

    async def snapshot(self, limit: int) -> Fact:
        """Fetch the book with `limit` levels per side; a quarantine fact where it cannot be read."""
        fact = await self._rest.snapshot(limit)
        try:
            self.mapper.snapshots([Entry(0, fact.kind, fact.recv_ns, fact.data)])
        except BadEntry as error:
            return _quarantine(fact, "rest", str(error), None)
        return fact

    async def trades_from(self, trade_id: int) -> Sequence[HistoricalTrade]:
        """See `exchanges.port.Exchange.trades_from`."""
        rows = await self._rest.trades_from(trade_id)
        trades = []
        for row, result in zip(rows, self._read_trades([r.fact for r in rows]), strict=True):
            if row.agg_id >= trade_id:
                fact = _quarantine(row.fact, "rest", result, row.agg_id) if isinstance(result, str) else row.fact
                trades.append(HistoricalTrade(row.agg_id, fact))
        return trades

    async def first_trade_since(self, time_ns: int) -> int | None:
        """See `exchanges.port.Exchange.first_trade_since`."""
        rows = await self._rest.trades_since(time_ns, 1)
        if not rows:
            rows = await self._rest.latest_trades(1)
            results = self._read_trades([row.fact for row in rows])
            if any(not isinstance(result, str) and result[1] >= time_ns for result in results):
                raise BadReply("aggTrades knew of no trade since a time, and then of one")
        return rows[0].agg_id if rows else None

    async def clock_offset(self) -> Fact:
        """See `exchanges.port.Exchange.clock_offset`."""
        trips = []
        for _ in range(_ROUND_TRIPS):
            trips.append(await self._rest.server_time())
            await asyncio.sleep(_ROUND_TRIP_PAUSE_S)
        return clock_offset(trips).fact(CLOCK_OFFSET, trips[-1].received_ns)

    def health(self) -> dict[str, int]:
        """See `exchanges.port.Exchange.health`."""
        limits = self._rest.limits
        return {
            "connections": self._stream.connection_count,
            "overlapping_reconnects": self._stream.replacement_count,
            "silent_streams": self._watchdog.alarm_count,
            "quiet_markets": self._watchdog.quiet_count,
            "request_weight": limits.used_weight,
            "refusals": limits.refusals,
        }

    async def close(self) -> None:
        """Close the REST connections."""
        await self._rest.close()

    def _streams_to_watch(self, trade_silence: SilenceRules, diff_silence: SilenceRules) -> list[WatchedStream]:
        streams = []
        for name in self._streams:
            if name.endswith("@aggTrade"):
                newest_id, callbacks = (lambda: self._agg_id), (self._note_quiet, self._note_stall)
                fetch_id = self._fetch_last_agg_id
                streams.append(WatchedStream(name, "trade stream", trade_silence, newest_id, fetch_id, *callbacks))
            elif "@depth@" in name or name.endswith("@depth"):
                fetch_id = self._rest.last_update_id
                streams.append(WatchedStream(name, "diff stream", diff_silence, lambda: self._update_id, fetch_id))
        return streams

    def _note_quiet(self) -> None:
        self._quiet_ns = self._rest.now_ns()

    def _note_stall(self) -> None:
        self._mute_ns = self._rest.now_ns()

    async def _fetch_last_agg_id(self) -> int | None:
        rows = await self._rest.latest_trades(1)
        return rows[-1].agg_id if rows else None

    def read(self, batch: Sequence[RawMessage]) -> list[Arrival]:
        """Convert messages to arrivals, in their order; trades are parsed in one batch."""
        arrivals: list[Arrival | None] = [None] * len(batch)
        trades: list[tuple[int, Fact]] = []
        for place, message in enumerate(batch):
            if message.what != "message":
                detail = message.data.decode(errors="replace")
                overlapping = message.overlapping
                arrivals[place] = Arrival(message.what, message.recv_ns, None, detail=detail, overlapping=overlapping)
                continue
            try:
                name, payload = unwrap(message.data)
            except BadMessage as error:
                arrivals[place] = _quarantine_arrival(Fact("", message.recv_ns, message.data), str(error))
                continue
            fact = Fact(EVENT_KINDS.get(name, ""), message.recv_ns, payload)
            if fact.kind == AGG_TRADE:
                trades.append((place, fact))
            elif fact.kind == DIFF:
                arrivals[place] = self._read_diff(fact)
            elif name == "serverShutdown":
                self._stream.replace("planned: serverShutdown", message.connection)
            else:
                arrivals[place] = _quarantine_arrival(
                    Fact(_OTHER, fact.recv_ns, payload), f"unknown event {name[:40]!r}"
                )
        for (place, fact), result in zip(trades, self._read_trades([f for _, f in trades]), strict=True):
            if isinstance(result, str):
                arrivals[place] = _quarantine_arrival(fact, result)
            else:
                arrivals[place] = Arrival("trade", fact.recv_ns, fact, result[0], time_ns=result[1])
                self._agg_id = max(self._agg_id or 0, result[0])
        return [arrival for arrival in arrivals if arrival is not None]

    def _read_diff(self, fact: Fact) -> Arrival:
        try:
            first, last = self.mapper.diff_ids(Entry(0, DIFF, fact.recv_ns, fact.data))
        except BadMessage as error:
            return _quarantine_arrival(fact, str(error))
        self._update_id = max(self._update_id or 0, last)
        return Arrival("diff", fact.recv_ns, fact, last, first)

    def _read_trades(self, facts: Sequence[Fact]) -> list[str | tuple[int, int]]:
        """For each trade its id and time, or why it cannot be read; the readable ones are parsed in one batch."""
        results: list[str | tuple[int, int]] = [""] * len(facts)
        places = list(range(len(facts)))
        while places:
            try:
                entries = [Entry(0, AGG_TRADE, facts[i].recv_ns, facts[i].data) for i in places]
                for place, numbers in zip(places, self.mapper.agg_trade_ids(entries), strict=True):
                    results[place] = numbers
                break
            except BadMessage as error:
                results[places.pop(error.row)] = str(error)
        return results


def _quarantine_arrival(fact: Fact, reason: str) -> Arrival:
    """Quarantine without a trade id: a row garbled on the wire can still be fetched over REST."""
    return Arrival("quarantine", fact.recv_ns, _quarantine(fact, "stream", reason, None), kind=fact.kind)


def _quarantine(fact: Fact, source: str, reason: str, agg_id: int | None) -> Fact:
    body = Quarantine(reason[:300], source, fact.data[:65_536], agg_id)
    return body.fact(QUARANTINE, fact.recv_ns)
