"""A simulated exchange with a script of faults, and the real stream and REST clients that listen to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from eventlog.clock import WallClock
from exchanges.binance.exchange import BinanceExchange
from exchanges.binance.feed.message_buffer import RawMessage
from exchanges.binance.feed.stall_detector import SilenceRules
from exchanges.binance.feed.stream import BinanceStream, StreamRules
from exchanges.binance.limits import AddressLimits
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.rest import BinanceRest
from exchanges.port import Arrival
from simulators.exchange.faults.script import parse
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.playback.recorded import RecordedExchange
from simulators.exchange.server import SimulatedExchange

SEED = 7
BUSY = MarketParameters(trades_per_second=30.0)
STREAMS = ("btcfdusd@aggTrade", "btcfdusd@depth@100ms")
QUICK = StreamRules(open_s=2.0, silent_s=0.4, overlap_s=0.2)

Rule = dict[str, Any]


class Feed:
    """What the real clients of one exchange have received."""

    def __init__(
        self,
        exchange: SimulatedExchange | RecordedExchange,
        symbol: str = "BTCFDUSD",
        streams: tuple[str, ...] = STREAMS,
        rules: StreamRules | None = None,
        timeout_s: float = 5.0,
        limits: AddressLimits | None = None,
        silence: Sequence[SilenceRules] = (),
    ) -> None:
        self.stream = BinanceStream(exchange.websocket_url, streams, WallClock(), rules, limits)
        self.rest = BinanceRest(exchange.url, symbol, timeout_s, 6_000, WallClock(), limits)
        self.venue = BinanceExchange(self.rest, self.stream, BinanceMapper(symbol), *silence)
        self.received: list[RawMessage] = []
        self.arrivals: list[Arrival] = []
        self._listening = asyncio.create_task(self._listen())

    @property
    def messages(self) -> list[bytes]:
        """The messages as they came."""
        return [each.data for each in self.received if each.what == "message"]

    @property
    def agg_ids(self) -> list[int]:
        """Ids of the readable trades, as they came."""
        return [each.last_id for each in self.arrivals if each.what == "trade"]

    @property
    def diffs(self) -> list[tuple[int, int]]:
        """U and u of the readable diffs, as they came."""
        return [(each.first_id, each.last_id) for each in self.arrivals if each.what == "diff"]

    @property
    def quarantined(self) -> list[str]:
        """Why something could not be read."""
        return [json.loads(each.fact.data)["reason"] for each in self.arrivals
                if each.what == "quarantine" and each.fact]  # fmt: skip

    @property
    def ends(self) -> list[str]:
        """Why connections ended."""
        return [each.detail for each in self.arrivals if each.what == "disconnected"]

    async def until(self, is_so: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait for something to become so."""
        async with asyncio.timeout(seconds):
            while not is_so():
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Hang up."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self.venue.close()

    async def _listen(self) -> None:
        batches = self.stream.batches()
        try:
            async for batch in batches:
                self.received += batch
                self.arrivals += self.venue.read(batch)
        finally:
            await batches.aclose()


_Listener = TypeVar("_Listener", bound=Feed)


@asynccontextmanager
async def listened_to(
    listen: Callable[[SimulatedExchange], _Listener], script: Sequence[Rule], **options: Any
) -> AsyncIterator[tuple[SimulatedExchange, _Listener]]:
    """An exchange with faults, standing still unless told otherwise, and who listens to it."""
    settings = {"parameters": BUSY, "seed": SEED, "speed": 0, "history_hours": 0.2, **options}
    exchange = SimulatedExchange(**settings, script=parse(json.dumps(script), SEED))
    await exchange.start()
    listener = listen(exchange)
    try:
        yield exchange, listener
    finally:
        await listener.close()
        await exchange.stop()


Check = Callable[[SimulatedExchange, Feed], Coroutine[Any, Any, None]]


def run(check: Check, *rules: Rule, feed: dict[str, Any] | None = None, **options: Any) -> None:
    """Run a check against an exchange that stands still, with faults and a feed that is connected."""

    async def body() -> None:
        async with listened_to(lambda exchange: Feed(exchange, **(feed or {})), rules, **options) as (
            exchange,
            listener,
        ):
            await listener.until(lambda: listener.stream.open_connections)
            async with asyncio.timeout(20):
                await check(exchange, listener)

    asyncio.run(body())


def traded(exchange: SimulatedExchange) -> list[int]:
    """Agg ids of the live trades, as given out."""
    assert exchange.venue is not None
    live = exchange.venue.ledger.select_by_id(BUSY.first_agg_id, 1_000_000)
    return exchange.conditions.publish_trades(live).agg_id.tolist()


def made(exchange: SimulatedExchange) -> list[tuple[int, int]]:
    """U and u of the diffs, as given out."""
    return [(diff.first, diff.last) for diff in exchange.hub.diffs.records]
