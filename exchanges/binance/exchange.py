"""
Binance spot as the recorder's exchange: stream and REST behind one port, every message read before it is passed on.
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
from exchanges.binance.feed.watchdog import Watchdog, Watched
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import BadMessage, unwrap
from exchanges.binance.rest import BinanceRest
from exchanges.errors import BadReply
from exchanges.port import Arrival, HistoricalTrade

EVENT_KINDS = {"aggTrade": AGG_TRADE, "depthUpdate": DIFF}
TRADE_SILENCE = SilenceRules(least_s=15.0, most_s=300.0)
DIFF_SILENCE = SilenceRules(least_s=5.0, most_s=60.0)

_OTHER = "other"
_ROUND_TRIPS = 7
_BETWEEN_ROUND_TRIPS_S = 0.2

_log = structlog.get_logger()


class BinanceExchange:
    """
    One symbol.

    Args:
        stream: of this symbol, or shared with others of the venue.
        mapper: reads everything before the log sees it; what it cannot read becomes quarantine.
        trade_silence, diff_silence: when a silent stream is looked at.
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
        self._watchdog = Watchdog(stream, tuple(self._watched(trade_silence, diff_silence)))

    @property
    def connected(self) -> int:
        """How many feed connections are open."""
        return self._stream.connected

    @property
    def quiet_ns(self) -> int:
        """See `exchanges.port.Exchange.quiet_ns`."""
        return self._quiet_ns

    @property
    def mute_ns(self) -> int:
        """See `exchanges.port.Exchange.mute_ns`."""
        return self._mute_ns

    @property
    def decoders(self) -> Mapping[str, Decode]:
        """See `exchanges.port.Exchange.decoders`."""
        return self.mapper.decoders

    async def arrivals(self) -> AsyncGenerator[Sequence[Arrival], None]:
        """See `exchanges.port.Exchange.arrivals`."""
        batches = self._stream.batches(self._streams)
        watching = asyncio.create_task(self._watchdog.run())
        try:
            async for batch in batches:
                yield self.read(batch)
                if watching.done():
                    watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await batches.aclose()

    async def instrument(self) -> Fact:
        """The symbol's object of exchangeInfo; also sets how many decimals quantities keep."""
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
        """What of an instrument fact matters: its state and grid, without the rest that the venue sends along."""
        row = self.mapper.instruments([Entry(0, fact.kind, fact.recv_ns, fact.data)]).to_pylist()[0]
        return tuple(row[name] for name in ("status", "tick_size_e8", "step_size_e8", "min_notional_e8"))

    async def snapshot(self, limit: int) -> Fact:
        """The book now; quarantine where it cannot be read."""
        fact = await self._rest.snapshot(limit)
        try:
            self.mapper.snapshots([Entry(0, fact.kind, fact.recv_ns, fact.data)])
        except BadEntry as error:
            return _quarantine(fact, "rest", str(error), None)
        return fact

    async def trades_from(self, agg_id: int) -> Sequence[HistoricalTrade]:
        """See `exchanges.port.Exchange.trades_from`."""
        rows = await self._rest.trades_from(agg_id)
        found = []
        for row, read in zip(rows, self._readable([r.fact for r in rows]), strict=True):
            if row.agg_id >= agg_id:
                fact = _quarantine(row.fact, "rest", read, row.agg_id) if isinstance(read, str) else row.fact
                found.append(HistoricalTrade(row.agg_id, fact))
        return found

    async def first_trade_since(self, time_ns: int) -> int | None:
        """See `exchanges.port.Exchange.first_trade_since`."""
        rows = await self._rest.trades_since(time_ns, 1)
        if not rows:
            rows = await self._rest.latest_trades(1)
            read = self._readable([row.fact for row in rows])
            if any(not isinstance(each, str) and each[1] >= time_ns for each in read):
                raise BadReply("aggTrades knew of no trade since a time, and then of one")
        return rows[0].agg_id if rows else None

    async def clock_offset(self) -> Fact:
        """See `exchanges.port.Exchange.clock_offset`."""
        trips = []
        for _ in range(_ROUND_TRIPS):
            trips.append(await self._rest.server_time())
            await asyncio.sleep(_BETWEEN_ROUND_TRIPS_S)
        return clock_offset(trips).fact(CLOCK_OFFSET, trips[-1].received_ns)

    def health(self) -> dict[str, int]:
        """See `exchanges.port.Exchange.health`."""
        limits = self._rest.limits
        return {
            "connections": self._stream.connections,
            "overlapping_reconnects": self._stream.replaced,
            "silent_streams": self._watchdog.alarms,
            "quiet_markets": self._watchdog.quiet,
            "request_weight": limits.used,
            "refusals": limits.refusals,
        }

    async def close(self) -> None:
        """Give connections back."""
        await self._rest.close()

    def _watched(self, trade_silence: SilenceRules, diff_silence: SilenceRules) -> list[Watched]:
        found = []
        for name in self._streams:
            if name.endswith("@aggTrade"):
                newest, told = (lambda: self._agg_id), (self._was_quiet, self._was_mute)
                found.append(Watched(name, "trade stream", trade_silence, newest, self._last_agg_id, *told))
            elif "@depth@" in name or name.endswith("@depth"):
                ask = self._rest.last_update_id
                found.append(Watched(name, "diff stream", diff_silence, lambda: self._update_id, ask))
        return found

    def _was_quiet(self) -> None:
        self._quiet_ns = self._rest.now_ns()

    def _was_mute(self) -> None:
        self._mute_ns = self._rest.now_ns()

    async def _last_agg_id(self) -> int | None:
        rows = await self._rest.latest_trades(1)
        return rows[-1].agg_id if rows else None

    def read(self, batch: Sequence[RawMessage]) -> list[Arrival]:
        """Messages as arrivals, in their order; trades are read together."""
        out: list[Arrival | None] = [None] * len(batch)
        trades: list[tuple[int, Fact]] = []
        for place, received in enumerate(batch):
            if received.what != "message":
                why = received.data.decode(errors="replace")
                over = received.overlapping
                out[place] = Arrival(received.what, received.recv_ns, None, detail=why, overlapping=over)
                continue
            try:
                name, inner = unwrap(received.data)
            except BadMessage as error:
                out[place] = _unreadable(Fact("", received.recv_ns, received.data), str(error))
                continue
            fact = Fact(EVENT_KINDS.get(name, ""), received.recv_ns, inner)
            if fact.kind == AGG_TRADE:
                trades.append((place, fact))
            elif fact.kind == DIFF:
                out[place] = self._diff(fact)
            elif name == "serverShutdown":
                self._stream.replace("planned: serverShutdown", received.line)
            else:
                out[place] = _unreadable(Fact(_OTHER, fact.recv_ns, inner), f"unknown event {name[:40]!r}")
        for (place, fact), read in zip(trades, self._readable([f for _, f in trades]), strict=True):
            if isinstance(read, str):
                out[place] = _unreadable(fact, read)
            else:
                out[place] = Arrival("agg_trade", fact.recv_ns, fact, read[0], time_ns=read[1])
                self._agg_id = max(self._agg_id or 0, read[0])
        return [arrival for arrival in out if arrival is not None]

    def _diff(self, fact: Fact) -> Arrival:
        try:
            first, last = self.mapper.diff_ids(Entry(0, DIFF, fact.recv_ns, fact.data))
        except BadMessage as error:
            return _unreadable(fact, str(error))
        self._update_id = max(self._update_id or 0, last)
        return Arrival("diff", fact.recv_ns, fact, last, first)

    def _readable(self, facts: Sequence[Fact]) -> list[str | tuple[int, int]]:
        """For each trade its id and time, or why it cannot be read; the readable ones are read in one go."""
        found: list[str | tuple[int, int]] = [""] * len(facts)
        places = list(range(len(facts)))
        while places:
            try:
                entries = [Entry(0, AGG_TRADE, facts[i].recv_ns, facts[i].data) for i in places]
                for place, numbers in zip(places, self.mapper.agg_trade_ids(entries), strict=True):
                    found[place] = numbers
                break
            except BadMessage as error:
                found[places.pop(error.row)] = str(error)
        return found


def _unreadable(fact: Fact, reason: str) -> Arrival:
    """Quarantine that closes no id: a row garbled on the wire can still be had over REST."""
    return Arrival("quarantine", fact.recv_ns, _quarantine(fact, "stream", reason, None), kind=fact.kind)


def _quarantine(fact: Fact, source: str, reason: str, agg_id: int | None) -> Fact:
    body = Quarantine(reason[:300], source, fact.data[:65_536], agg_id)
    return body.fact(QUARANTINE, fact.recv_ns)
