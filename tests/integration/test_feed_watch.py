"""The feed's watchdog, overlapping connections and limits, against the simulated exchange over real sockets."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from eventlog.clock import WallClock
from eventlog.facts.capture import ClockOffset
from exchanges.binance.feed.stall_detector import SilenceRules
from exchanges.binance.feed.stream import StreamRules
from exchanges.binance.limits import AddressLimits
from exchanges.binance.rest import BinanceRest
from exchanges.errors import Refused
from exchanges.port import Arrival
from simulators.exchange.server import SimulatedExchange
from simulators.exchange.streams.connection import ConnectionRules
from tests.exchange_feed import Feed, listened_to, made, traded

SOON = SilenceRules(min_s=1.0, max_s=1.5)
NEVER = SilenceRules(min_s=600.0, max_s=600.0)
SHORT = StreamRules(open_s=2.0, silent_s=30.0, overlap_s=0.3)


class Watched(Feed):
    """What the port of one exchange has brought."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        rules: StreamRules = SHORT,
        silence: tuple[SilenceRules, SilenceRules] = (NEVER, NEVER),
        limits: AddressLimits | None = None,
    ) -> None:
        self.limits = limits or AddressLimits(6000)
        super().__init__(exchange, rules=rules, limits=self.limits, silence=silence)

    def of(self, what: str) -> list[Arrival]:
        """Arrivals of one sort."""
        return [each for each in self.arrivals if each.what == what]

    @property
    def news(self) -> list[tuple[str, str, bool]]:
        """What became of connections."""
        return [(a.what, a.detail, a.overlapping) for a in self.arrivals if a.what in ("connected", "disconnected")]

    async def _listen(self) -> None:
        batches = self.venue.arrivals()
        try:
            async for batch in batches:
                self.arrivals += batch
        finally:
            await batches.aclose()


Check = Callable[[SimulatedExchange, Watched], Coroutine[Any, Any, None]]


def run(check: Check, *rules: dict[str, Any], speed: float = 1.0, pings: float = 20.0, **feed: Any) -> None:
    """Run a check against an exchange with faults and the feed of its port."""

    async def body() -> None:
        pinging = ConnectionRules(ping_interval_s=pings)
        stage = listened_to(lambda exchange: Watched(exchange, **feed), rules, speed=speed, rules=pinging)
        async with stage as (exchange, watched), asyncio.timeout(25):
            await check(exchange, watched)

    asyncio.run(body())


def without_hole(diffs: list[Arrival]) -> bool:
    """Whether diffs follow each other once those that came twice are left out."""
    spans = sorted({(each.first_id, each.last_id) for each in diffs})
    return all(after[0] == ahead[1] + 1 for ahead, after in pairwise(spans))


@pytest.mark.parametrize(("stream", "label", "place"), [("trades", "trade", 0), ("diffs", "diff", 1)])
def test_a_stream_that_stalls_while_pings_go_on_is_left(stream: str, label: str, place: int) -> None:
    """One stream falls silent for good, the other flows: a new connection, with the stream and its silence named."""
    silence = (SOON if place == 0 else NEVER, SOON if place == 1 else NEVER)

    async def check(_: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: len(watched.news) == 3)
        connected, taking_over, left = watched.news
        assert connected == ("connected", "", False)
        assert (taking_over[0], taking_over[2]) == ("connected", False)
        assert taking_over[1].startswith(f"silent: {label} stream ")
        assert (left[0], left[1], left[2]) == ("disconnected", taking_over[1], True)
        what = {"trades": "trade", "diffs": "diff"}[stream]
        before = len(watched.of(what))
        await watched.until(lambda: len(watched.of(what)) > before + 5)
        assert watched.venue.health()["silent_streams"] == 1

    stall = {"when": {"stream": stream, "nth": 20, "connection": 1}, "fault": "stall", "streams": stream}
    run(check, stall, silence=silence, pings=0.4)


def test_a_half_open_connection_is_found_by_its_data() -> None:
    """Nothing comes any more, no ping either: the diff stream's budget ends it long before the connection's own."""

    async def check(_: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: len(watched.news) == 3)
        assert watched.news[1][1].startswith("silent: diff stream ")
        assert watched.stream.open_connections == 1

    half = {"when": {"stream": "diffs", "nth": 10, "connection": 1}, "fault": "half_open"}
    run(check, half, silence=(NEVER, SOON))


def test_a_half_open_connection_is_found_by_a_ping() -> None:
    """Without budgets the connection's own silence asks with a ping, and no pong ends it."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: watched.stream.open_connections)
        exchange.advance(5)
        await watched.until(lambda: len(watched.news) >= 2)
        assert watched.news[1] == ("disconnected", "silent: connection 1 s, no pong", False)

    half = {"when": {"stream": "diffs", "nth": 3}, "fault": "half_open"}
    run(check, half, speed=0, rules=StreamRules(silent_s=0.5))


def test_a_quiet_market_causes_no_reconnect() -> None:
    """The market stands still: the venue is asked, seldom and more seldom, and the connection stays."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: watched.stream.open_connections)
        exchange.advance(20)
        await watched.until(lambda: len(watched.of("diff")) == 20)
        await asyncio.sleep(7.0)
        health = watched.venue.health()
        assert exchange.hub.total_connections == 1
        assert (health["silent_streams"], health["connections"]) == (0, 1)
        assert 2 <= health["quiet_markets"] <= 6
        exchange.advance(1)
        await watched.until(lambda: len(watched.of("diff")) == 21)

    run(check, speed=0, silence=(SOON, SOON), rules=StreamRules(silent_s=0.3))


def test_a_market_that_is_quiet_from_the_start_causes_no_reconnect() -> None:
    """The venue has trades and a book of before, which this connection cannot bring."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await asyncio.sleep(6.0)
        assert exchange.hub.total_connections == 1
        assert watched.news == [("connected", "", False)]
        assert watched.venue.health()["quiet_markets"] >= 1

    run(check, speed=0, silence=(SOON, SOON))


def test_a_connection_is_replaced_before_its_age_without_a_hole() -> None:
    """The next one is open before this one is left; nothing of trades or diffs is missing or out of reach."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: len(watched.news) >= 5)
        await watched.until(lambda: len(watched.of("diff")) > 30)
        whys = ("planned: too old", True)
        assert watched.news[:3] == [("connected", "", False), ("connected", *whys), ("disconnected", *whys)]
        assert all(over for _, _, over in watched.news[1:])
        assert without_hole(watched.of("diff"))
        ids = {each.last_id for each in watched.of("trade")}
        assert ids == set(range(min(ids), max(ids) + 1))
        assert len(ids) < len(watched.of("trade"))
        assert exchange.hub.connection_count <= 2

    run(check, rules=StreamRules(open_s=2.0, max_age_s=1.0, overlap_s=0.3))


def test_a_shutdown_notice_moves_the_feed_without_a_hole() -> None:
    """The next connection opens at once, also when the notice comes again; the old one is left before it is closed."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: len(watched.news) == 3)
        await watched.until(lambda: len(watched.of("diff")) > 60)
        why = ("planned: serverShutdown", True)
        assert watched.news == [("connected", "", False), ("connected", *why), ("disconnected", *why)]
        assert without_hole(watched.of("diff"))
        assert exchange.hub.total_connections == 2

    when = {"stream": "diffs", "every": 2, "after": 9, "until": 12, "connection": 1}
    run(check, {"when": when, "fault": "server_shutdown", "seconds": 5})


def test_an_old_connection_waits_until_the_new_one_brings_everything() -> None:
    """The second connection's diffs are stalled from its first on: the first one is not left for it."""

    async def check(_: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: len(watched.news) == 2)
        await asyncio.sleep(1.5)
        assert watched.stream.open_connections == 2
        assert len(watched.news) == 2
        assert without_hole(watched.of("diff"))

    stall = {"when": {"stream": "diffs", "connection": 2}, "fault": "stall", "streams": "diffs"}
    notice = {"when": {"stream": "trades", "nth": 5}, "fault": "server_shutdown", "seconds": 20}
    run(check, stall, notice)


def test_a_storm_of_connections_is_refused_by_the_budget() -> None:
    """With 250 attempts spent the stream waits instead of knocking; requests go on."""
    limits = AddressLimits(6000)
    for _ in range(250):
        limits.take_connection(WallClock().now_ns(), overlapping=False)

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await asyncio.sleep(1.0)
        assert exchange.hub.total_connections == 0
        assert watched.news == []
        assert len(await watched.rest.latest_trades(1)) == 1

    run(check, limits=limits)


def test_connections_that_end_at_once_are_tried_more_and_more_seldom() -> None:
    """Six connections cut at their first message take more than 3 s, not 6 × 0.2 s."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await asyncio.sleep(3.5)
        assert 3 <= exchange.hub.total_connections <= 5

    run(check, {"when": {"stream": "diffs"}, "fault": "disconnect_abrupt"})


@pytest.mark.parametrize("status", [418, 429])
def test_a_refused_handshake_is_honoured(status: int) -> None:
    """No attempt before Retry-After has passed; a ban holds for requests too."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: exchange.conditions.script.counts()[0]["struck"] == 1)
        await asyncio.sleep(1.5)
        assert exchange.conditions.script.counts()[0]["seen"] == 1
        pause_ns = watched.limits.take_weight(1, WallClock().now_ns())
        assert (pause_ns > 0) == (status == 418)
        await watched.until(lambda: watched.stream.open_connections, 3)

    run(check, {"when": {"nth": 1}, "fault": "refused_connection", "status": status, "retry_after_s": 3})


def test_a_ban_holds_for_every_client_of_the_process() -> None:
    """One client's 418 keeps another one, and the stream's next connection, waiting."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: watched.stream.open_connections)
        other = BinanceRest(exchange.url, "BTCFDUSD", 5.0, 6000, WallClock(), watched.limits)
        with pytest.raises(Refused):
            await watched.rest.snapshot(5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await exchange.hub.drop_all()
        await other.latest_trades(1)
        assert loop.time() - began > 1.5
        await watched.until(lambda: watched.stream.open_connections)
        assert loop.time() - began > 1.5
        await other.close()

    run(check, {"when": {"path": "depth"}, "fault": "http_418", "retry_after_s": 2, "times": 1}, speed=0)


@pytest.mark.parametrize("ms", [5_000, -5_000])
def test_the_venues_clock_is_measured(ms: int) -> None:
    """An exchange five seconds off is found so, within what seven round trips can tell; arrivals are not corrected."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        exchange.advance(1)
        fact = await watched.venue.clock_offset()
        found = msgspec.json.decode(fact.data, type=ClockOffset)
        assert (fact.kind, found.round_trips) == ("clock_offset", 7)
        assert abs(found.offset_ns - ms * 1_000_000) <= found.uncertainty_ns < 50_000_000

    run(check, {"when": {"nth": 1}, "fault": "clock_skew", "ms": ms}, speed=0)


def test_nothing_is_lost_by_counting() -> None:
    """Without faults and with watchful budgets the feed is the ledger, on one connection."""

    async def check(exchange: SimulatedExchange, watched: Watched) -> None:
        await watched.until(lambda: watched.stream.open_connections)
        exchange.advance(40)
        await watched.until(lambda: len(watched.of("diff")) == 40)
        await watched.until(lambda: len(watched.of("trade")) == len(traded(exchange)))
        assert [(a.first_id, a.last_id) for a in watched.of("diff")] == made(exchange)
        assert [a.last_id for a in watched.of("trade")] == traded(exchange)

    run(check, speed=0, silence=(SOON, SOON))
