"""Every fault of the simulated exchange's streams, seen by the real stream client."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from simulators.exchange.server import SimulatedExchange
from simulators.exchange.streams.connection import ConnectionRules
from tests.exchange_feed import QUICK, STREAMS, Feed, made, run, traded

TRADES, DIFFS = STREAMS


def on(stream: str, nth: int, fault: str, **more: Any) -> dict[str, Any]:
    """A rule that strikes one message of a stream."""
    return {"when": {"stream": stream, "nth": nth}, "fault": fault, **more}


def test_without_faults_the_feed_is_the_ledger() -> None:
    """All trades and all diffs come once, in order, and each diff was handed to the one client."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(40)
        await feed.until(lambda: len(feed.diffs) == 40 and len(feed.agg_ids) == len(traded(exchange)))
        assert feed.agg_ids == traded(exchange)
        assert feed.diffs == made(exchange)
        assert {diff.deliveries for diff in exchange.hub.diffs.records} == {1}
        assert feed.quarantined == []

    run(check)


@pytest.mark.parametrize("stream", ["trades", "diffs"])
def test_a_duplicate_comes_as_often_as_it_says(stream: str) -> None:
    """The fifth message comes three times, the others once."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(20)
        truth: list[Any] = traded(exchange) if stream == "trades" else made(exchange)
        await feed.until(lambda: len(feed.messages) == len(traded(exchange)) + 20 + 2)
        came: list[Any] = feed.agg_ids if stream == "trades" else feed.diffs
        assert came == truth[:5] + [truth[4]] * 2 + truth[5:]

    run(check, on(stream, 5, "duplicate", copies=3))


@pytest.mark.parametrize("stream", ["trades", "diffs"])
def test_a_reordered_message_comes_after_the_next_two(stream: str) -> None:
    """Messages 5, 6, 7 come as 6, 7, 5."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(20)
        truth: list[Any] = traded(exchange) if stream == "trades" else made(exchange)
        await feed.until(lambda: len(feed.messages) == len(traded(exchange)) + 20)
        came: list[Any] = feed.agg_ids if stream == "trades" else feed.diffs
        assert came == [*truth[:4], truth[5], truth[6], truth[4], *truth[7:]]

    run(check, on(stream, 5, "reordered", messages=2))


@pytest.mark.parametrize("stream", ["trades", "diffs"])
def test_a_delayed_message_comes_late(stream: str) -> None:
    """It comes after everything that was made with it, and it does come."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        truth: list[Any] = traded(exchange) if stream == "trades" else made(exchange)
        await feed.until(lambda: len(feed.messages) == len(traded(exchange)) + 10)
        came: list[Any] = feed.agg_ids if stream == "trades" else feed.diffs
        assert came == truth[:4] + truth[5:] + [truth[4]]

    run(check, on(stream, 5, "delayed", seconds=0.2))


def test_a_missing_trade_is_in_rest() -> None:
    """The stream skips the trade, REST has it, the ledger has it."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(20)
        truth = traded(exchange)
        await feed.until(lambda: feed.agg_ids[-1:] == truth[-1:])
        assert feed.agg_ids == truth[:4] + truth[5:]
        assert [row.agg_id for row in await feed.rest.trades_from(truth[4], 2)] == truth[4:6]

    run(check, on("trades", 5, "missing"))


def test_a_trade_missing_everywhere_is_named_as_unobtainable() -> None:
    """The stream skips it, REST skips it, the exchange says so itself."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(20)
        truth = traded(exchange)
        await feed.until(lambda: feed.agg_ids[-1:] == truth[-1:])
        assert [row.agg_id for row in await feed.rest.trades_from(truth[3], 3)] == [truth[3], truth[5]]
        async with aiohttp.ClientSession() as session, session.get(f"{exchange.url}/simulated/unobtainable") as reply:
            assert await reply.json() == {"agg_ids": [truth[4]], "update_ids": []}

    run(check, on("trades", 5, "missing", everywhere=1))


def test_a_missing_diff_is_named_as_unobtainable() -> None:
    """The ids of the diffs that came have a hole, and the ledger says that this one was handed to nobody."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        truth = made(exchange)
        await feed.until(lambda: len(feed.diffs) == 9)
        assert feed.diffs == truth[:4] + truth[5:]
        async with aiohttp.ClientSession() as session, session.get(f"{exchange.url}/simulated/diffs") as reply:
            rows = (await reply.json())["diffs"]
        assert [row["handed"] for row in rows] == [1] * 4 + [0] + [1] * 5
        assert json.loads(rows[4]["payload"])["u"] == truth[4][1]
        async with aiohttp.ClientSession() as session, session.get(f"{exchange.url}/simulated/unobtainable") as reply:
            assert await reply.json() == {"agg_ids": [], "update_ids": [truth[4][1]]}

    run(check, on("diffs", 5, "missing"))


def test_a_fault_of_one_connection_spares_the_other() -> None:
    """The second client has the diff that the first one lost, so it was obtainable."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        other = Feed(exchange)
        try:
            await feed.until(lambda: other.stream.open_connections)
            exchange.advance(10)
            await feed.until(lambda: len(feed.diffs) == 9 and len(other.diffs) == 10)
        finally:
            await other.close()
        truth = made(exchange)
        assert feed.diffs == truth[:4] + truth[5:]
        assert other.diffs == truth
        assert exchange.hub.diffs.records[4].deliveries == 1

    run(check, {"when": {"stream": "diffs", "nth": 5, "connection": 1}, "fault": "missing"})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("malformed_json", "no message of this venue"),
        ("truncated_json", "no message of this venue"),
        ("json_numbers", "Expected `str`"),
        ("invalid_utf8", ""),
    ],
)
@pytest.mark.parametrize("stream", ["trades", "diffs"])
def test_a_spoiled_message_is_quarantined(stream: str, fault: str, said: str) -> None:
    """One message cannot be read, the reason is told, the messages around it are read."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        count = len(traded(exchange)) + 10
        await feed.until(lambda: len(feed.messages) == count)
        truth: list[Any] = traded(exchange) if stream == "trades" else made(exchange)
        came: list[Any] = feed.agg_ids if stream == "trades" else feed.diffs
        assert came == truth[:4] + truth[5:]
        assert len(feed.quarantined) == 1
        assert said in feed.quarantined[0]

    run(check, on(stream, 5, fault))


@pytest.mark.parametrize(
    ("fault", "said"), [("unknown_event", "tideTable"), ("other_symbol", "ETHFDUSD"), ("binary_noise", "no message")]
)
def test_a_strange_message_comes_besides(fault: str, said: str) -> None:
    """It is quarantined, and everything true comes all the same."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        await feed.until(lambda: len(feed.messages) == len(traded(exchange)) + 11)
        assert feed.agg_ids == traded(exchange)
        assert feed.diffs == made(exchange)
        assert len(feed.quarantined) == 1
        assert said in feed.quarantined[0]

    run(check, on("trades", 5, fault))


def test_a_binary_frame_holds_the_same_bytes() -> None:
    """The second trade comes as bytes, the others as text."""

    async def check(exchange: SimulatedExchange, _: Feed) -> None:
        async with connect(f"{exchange.websocket_url}/ws/{TRADES}", proxy=None) as client:
            exchange.advance(10)
            frames = [await client.recv() for _ in range(3)]
        assert [type(frame) for frame in frames] == [str, bytes, str]
        assert [json.loads(frame)["a"] for frame in frames] == traded(exchange)[:3]

    run(check, on("trades", 2, "binary_frame"))


def test_a_giant_message_is_read_or_ends_the_connection() -> None:
    """A long one with blanks in it is read; one beyond the client's limit ends the connection with 1009."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        await feed.until(lambda: feed.ends)
        sizes = [len(message) for message in feed.messages]
        assert max(sizes) >= 1_000_000
        assert feed.agg_ids == traded(exchange)[:4]
        assert "1009" in feed.ends[0]

    run(check, on("trades", 2, "giant_message", bytes=1_000_000), on("trades", 5, "giant_message"))


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clean_disconnect_says_why(code: int) -> None:
    """What came before it is there, the rest is not, and the client comes back by itself."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        await feed.until(lambda: feed.ends)
        assert str(code) in feed.ends[0]
        assert feed.agg_ids == traded(exchange)[:4]
        await feed.until(lambda: feed.stream.open_connections)
        assert exchange.hub.total_connections == 2

    run(check, on("trades", 5, "disconnect_clean", code=code, reason="good night"))


def test_an_abrupt_disconnect_says_nothing() -> None:
    """The connection is gone without a close frame after what was sent before."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        await feed.until(lambda: feed.ends)
        assert "no close frame received" in feed.ends[0]
        assert feed.agg_ids == traded(exchange)[:4]

    run(check, on("trades", 5, "disconnect_abrupt"))


def test_an_abrupt_disconnect_is_a_reset() -> None:
    """The socket ends with ECONNRESET, not with an orderly end."""

    async def check(exchange: SimulatedExchange, _: Feed) -> None:
        async with connect(f"{exchange.websocket_url}/ws/{TRADES}", proxy=None) as client:
            exchange.advance(10)
            with pytest.raises(ConnectionClosed) as ended:
                await client.recv()
        assert isinstance(ended.value.__cause__, ConnectionResetError)

    run(check, on("trades", 1, "disconnect_abrupt"))


def test_a_half_open_connection_answers_nothing() -> None:
    """No data, no ping, no pong and no answer to a close, while the line stays up."""

    async def check(exchange: SimulatedExchange, _: Feed) -> None:
        async with aiohttp.ClientSession() as session:
            client = await session.ws_connect(f"{exchange.url}/ws/{DIFFS}", autoping=False, autoclose=False)
            exchange.advance(5)
            first = [await client.receive(timeout=2) for _ in range(2)]
            await client.ping(b"there?")
            await client.send_str("LIST_SUBSCRIPTIONS")
            with pytest.raises(TimeoutError):
                await client.receive(timeout=0.5)
            assert not client.closed
            assert exchange.hub.connection_count == 2
        assert [json.loads(message.data)["u"] for message in first] == [u for _, u in made(exchange)[:2]]

    run(check, on("diffs", 3, "half_open"), rules=ConnectionRules(ping_interval_s=0.2))


def test_a_client_notices_a_half_open_connection_by_its_silence() -> None:
    """The stream gives it up after its silence, and is connected anew."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(5)
        await feed.until(lambda: feed.ends and feed.stream.open_connections)
        assert "silent" in feed.ends[0]
        assert feed.diffs == made(exchange)[:2]

    run(check, on("diffs", 3, "half_open"), feed={"rules": QUICK})


def test_a_stall_keeps_pings_alive() -> None:
    """Trades stop, diffs go on; with all streams stalled pings still come."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(20)
        await feed.until(lambda: len(feed.diffs) == 20)
        assert feed.agg_ids == traded(exchange)[:4]
        assert feed.diffs == made(exchange)
        async with aiohttp.ClientSession() as session:
            client = await session.ws_connect(f"{exchange.url}/ws/{DIFFS}", autoping=False)
            exchange.advance(1)
            kinds = {(await client.receive(timeout=2)).type for _ in range(3)}
            await client.close()
        assert kinds == {aiohttp.WSMsgType.PING}

    run(
        check,
        on("trades", 5, "stall", streams="trades"),
        on("diffs", 21, "stall", streams="all"),
        rules=ConnectionRules(ping_interval_s=0.05),
    )


def test_a_stall_can_end() -> None:
    """After its time the stream goes on; what was made meanwhile never comes."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(5)
        await asyncio.sleep(0.3)
        exchange.advance(5)
        await feed.until(lambda: len(feed.diffs) == 7)
        assert feed.diffs == made(exchange)[:2] + made(exchange)[5:]

    run(check, on("diffs", 3, "stall", streams="diffs", seconds=0.25))


def test_a_shutdown_is_announced_and_happens() -> None:
    """The client opens a second connection on the notice, and the old one is closed later."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(5)
        await feed.until(lambda: exchange.hub.total_connections == 2)
        await feed.until(lambda: feed.ends)
        notices = [message for message in feed.messages if b"serverShutdown" in message]
        assert [json.loads(notice)["stream"] for notice in notices] == ["!serverShutdown"]
        assert feed.diffs == made(exchange)

    run(check, on("diffs", 3, "server_shutdown", seconds=0.3))


def test_a_connection_ends_at_its_age() -> None:
    """The first connection is closed with 1001 at the age the script says; the second lives on."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        await feed.until(lambda: feed.ends)
        assert "1001" in feed.ends[0]
        assert "too old" in feed.ends[0]
        await feed.until(lambda: feed.stream.open_connections)
        await asyncio.sleep(0.4)
        assert len(feed.ends) == 1

    run(check, {"when": {"nth": 1}, "fault": "age_limit", "seconds": 0.3})


def test_a_refused_connection_is_tried_again() -> None:
    """The handshake is answered 503 once; the client's next attempt is accepted."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        assert exchange.hub.total_connections == 1
        assert exchange.conditions.script.counts() == [{"fault": "refused_connection", "seen": 2, "struck": 1}]

    run(check, {"when": {"nth": 1}, "fault": "refused_connection", "status": 503})


def test_agg_ids_jump_on_stream_and_rest() -> None:
    """Ten ids are never given out; trade ids run on, so nothing was traded under them."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        before = len(traded(exchange))
        exchange.advance(10)
        truth = traded(exchange)
        await feed.until(lambda: len(feed.agg_ids) == len(truth))
        assert feed.agg_ids == truth
        assert [b - a for a, b in pairwise(truth)] == [1] * (before - 1) + [11] + [1] * (len(truth) - before - 1)
        rows = await feed.rest.trades_from(truth[before - 1] + 1)
        assert [row.agg_id for row in rows] == truth[before:]
        spans = [json.loads(message)["data"] for message in feed.messages if b"aggTrade" in message]
        assert all(after["f"] == ahead["l"] + 1 for ahead, after in pairwise(spans))

    run(check, {"when": {"nth": 11}, "fault": "agg_id_jump", "by": 10})


def test_update_ids_jump_in_diffs_and_snapshots() -> None:
    """U is a hundred above what follows u, and the book's id is the last u."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        await feed.until(lambda: len(feed.diffs) == 10)
        steps = [after[0] - ahead[1] for ahead, after in pairwise(feed.diffs)]
        assert steps == [1, 1, 1, 101, 1, 1, 1, 1, 1]
        address = f"{exchange.url}/api/v3/depth?symbol=BTCFDUSD&limit=5"
        async with aiohttp.ClientSession() as session, session.get(address) as reply:
            assert (await reply.json())["lastUpdateId"] == feed.diffs[-1][1]

    run(check, {"when": {"nth": 5}, "fault": "update_id_jump", "by": 100})


class Noon:
    """A clock that a test moves."""

    ns = 1_700_000_000_000_000_000

    def now_ns(self) -> int:
        return self.ns


async def server_ms(exchange: SimulatedExchange) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{exchange.url}/api/v3/time") as reply:
        return int((await reply.json())["serverTime"])


@pytest.mark.parametrize("ms", [5_000, -5_000])
def test_the_clock_is_off(ms: int) -> None:
    """From the eleventh step on T, E and /time are off by five seconds; REST says the same T."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        count = len(traded(exchange))
        exchange.advance(10)
        await feed.until(lambda: len(feed.agg_ids) == len(traded(exchange)))
        times = [each.time_ns // 1_000_000 for each in feed.arrivals if each.what == "trade"]
        noon_ms = Noon.ns // 1_000_000
        assert all(0 <= time - noon_ms < 1_000 for time in times[:count])
        assert all(1_000 <= time - noon_ms - ms < 2_000 for time in times[count:])
        assert await server_ms(exchange) == noon_ms + ms
        (row,) = await feed.rest.latest_trades(1)
        assert json.loads(row.fact.data)["T"] == times[-1]

    run(check, {"when": {"nth": 11}, "fault": "clock_skew", "ms": ms}, clock=Noon())


def test_the_clock_drifts() -> None:
    """At 100 ms a second it is off by 1 s after 10 s."""
    clock = Noon()

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(1)
        clock.ns += 10_000_000_000
        assert await server_ms(exchange) == Noon.ns // 1_000_000 + 10_000 + 1_000

    run(check, {"when": {"nth": 1}, "fault": "clock_drift", "ms_per_s": 100}, clock=clock)


@pytest.mark.parametrize("status", ["HALT", "BREAK", "CANCEL_ONLY"])
def test_trading_stops_and_goes_on(status: str) -> None:
    """For twenty steps nothing is traded and exchangeInfo says so; then both go on where they were."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        before = traded(exchange)
        exchange.advance(20)
        assert traded(exchange) == before
        assert json.loads((await feed.rest.instrument()).data)["status"] == status
        exchange.advance(10)
        assert json.loads((await feed.rest.instrument()).data)["status"] == "TRADING"
        await feed.until(lambda: len(feed.diffs) == 20)
        assert len(traded(exchange)) > len(before)
        assert all(after[0] == ahead[1] + 1 for ahead, after in pairwise(feed.diffs))
        times = [each.time_ns for each in feed.arrivals if each.what == "trade"]
        assert times[len(before)] - times[len(before) - 1] >= 1_900_000_000

    run(check, {"when": {"nth": 11}, "fault": "symbol_status", "status": status, "steps": 20})


def test_the_same_seed_and_script_strike_the_same_messages() -> None:
    """Two runs have the same strikes, and their clients get the same ids in the same order."""
    rules = [
        {"when": {"stream": "trades", "chance": 0.2}, "fault": "missing"},
        {"when": {"stream": "diffs", "chance": 0.2}, "fault": "duplicate"},
        {"when": {"stream": "trades", "every": 7}, "fault": "reordered"},
    ]
    seen = []

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(60)
        await feed.until(lambda: feed.diffs[-1:] == made(exchange)[-1:])
        seen.append((list(exchange.conditions.script.triggers), feed.agg_ids, feed.diffs))

    for _ in range(2):
        run(check, *rules)
    assert seen[0] == seen[1]
    struck = [trigger.fault for trigger in seen[0][0]]
    assert {name: struck.count(name) >= 5 for name in ("missing", "duplicate", "reordered")} == dict.fromkeys(
        ("missing", "duplicate", "reordered"), True
    )


def test_the_door_takes_shows_and_drops_a_script() -> None:
    """A script that comes in over HTTP strikes from then on; a bad one is refused with its reason."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        door = f"{exchange.url}/simulated/script"
        async with aiohttp.ClientSession() as session:
            async with session.post(door, json=[{"fault": "earthquake"}]) as reply:
                assert reply.status == 400
                assert "earthquake" in (await reply.json())["error"]
            async with session.post(door, json=[on("diffs", 2, "missing")]) as reply:
                assert await reply.json() == {"rules": 1}
            exchange.advance(3)
            async with session.get(door) as reply:
                shown = await reply.json()
            async with session.delete(door) as reply:
                assert await reply.json() == {"rules": 0}
        last = made(exchange)[1][1]
        assert shown["rules"] == [{"fault": "missing", "seen": 3, "struck": 1}]
        assert shown["strikes"] == [{"rule": 1, "fault": "missing", "word": "diffs", "number": last}]
        assert exchange.conditions.script.rules == ()

    run(check)
