"""The simulated exchange over real sockets: what it sends is what it traded."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.server import SimulatedExchange
from simulators.exchange.streams.connection import ConnectionRules

Row = dict[str, Any]
Check = Callable[[SimulatedExchange, aiohttp.ClientSession], Coroutine[Any, Any, None]]

BUSY = MarketParameters(trades_per_second=30.0)
TRADES = "btcfdusd@aggTrade"


def run(check: Check, **options: Any) -> None:
    """Run a check against an exchange that stands still unless told otherwise."""

    async def body() -> None:
        settings = {"parameters": BUSY, "speed": 0, "history_hours": 0.5, **options}
        exchange = SimulatedExchange(**settings)
        await exchange.start()
        try:
            async with aiohttp.ClientSession(base_url=exchange.url) as session, asyncio.timeout(15):
                await check(exchange, session)
        finally:
            await exchange.stop()

    asyncio.run(body())


@asynccontextmanager
async def listening(exchange: SimulatedExchange, path: str) -> AsyncIterator[ClientConnection]:
    async with connect(exchange.websocket_url + path, compression=None, proxy=None, max_queue=4_096) as client:
        yield client


async def receive(client: ClientConnection) -> Row:
    async with asyncio.timeout(5):
        message: Row = json.loads(await client.recv())
        return message


async def receive_forever(client: ClientConnection) -> None:
    while True:
        await receive(client)


async def get(session: aiohttp.ClientSession, path: str, **query: Any) -> Any:
    async with session.get(path, params=query) as reply:
        return await reply.json()


async def ledger_rows(session: aiohttp.ClientSession, from_id: int) -> list[tuple[int, ...]]:
    columns = await get(session, "/simulated/ledger", fromId=from_id)
    names = ("agg_id", "price_e8", "quantity_e8", "first_id", "last_id", "time_ns", "buyer_is_maker")
    return list(zip(*(columns[name] for name in names), strict=True))


def as_ledger_row(row: Row) -> tuple[int, ...]:
    price, quantity = (int(row[key].replace(".", "")) for key in ("p", "q"))
    return row["a"], price, quantity, row["f"], row["l"], row["T"] * 1_000_000, int(row["m"])


def test_the_stream_is_the_ledger() -> None:
    """Every aggTrade of the market reaches a listener once, in order, with every field as traded."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        async with listening(exchange, f"/ws/{TRADES}") as client:
            exchange.advance(100)
            traded = await ledger_rows(session, 100_000_001)
            events = [await receive(client) for _ in traded]
        assert len(traded) > 100
        assert [as_ledger_row(event) for event in events] == traded
        assert {(event["e"], event["s"]) for event in events} == {("aggTrade", "BTCFDUSD")}

    run(check)


def test_real_time_trades_by_itself() -> None:
    """On the wall's clock the market trades unasked, and a listener gets it stamped near now."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        async with listening(exchange, f"/ws/{TRADES}") as client:
            event = await receive(client)
        server_ms = (await get(session, "/api/v3/time"))["serverTime"]
        assert event["T"] <= event["E"] <= server_ms
        assert server_ms - event["T"] < 5_000
        rows = await ledger_rows(session, event["a"])
        assert rows[0] == as_ledger_row(event)

    run(check, speed=1.0)


def test_pages_are_the_ledger() -> None:
    """Paging by fromId from the first id gives the whole ledger, history and live, without a gap."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        exchange.advance(300)
        traded = await ledger_rows(session, 0)
        rows: list[Row] = []
        while page := await get(
            session,
            "/api/v3/aggTrades",
            symbol="BTCFDUSD",
            limit=1000,
            fromId=rows[-1]["a"] + 1 if rows else traded[0][0],
        ):
            rows += page
        assert [as_ledger_row(row) for row in rows] == traded
        assert rows[0]["a"] < 100_000_001 < rows[-1]["a"]

    run(check)


def test_times_select_and_default_is_the_latest() -> None:
    """startTime and endTime are inclusive, an end alone gives the last before it, nothing gives the latest 500."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        exchange.advance(100)
        traded = await ledger_rows(session, 0)
        start, end = traded[200][5] // 1_000_000, traded[600][5] // 1_000_000
        inside = [row for row in traded if start <= row[5] // 1_000_000 <= end]
        path, symbol = "/api/v3/aggTrades", "BTCFDUSD"
        both = await get(session, path, symbol=symbol, startTime=start, endTime=end, limit=1000)
        assert [as_ledger_row(row) for row in both] == inside
        since = await get(session, path, symbol=symbol, startTime=start, limit=7)
        assert [row["a"] for row in since] == [row[0] for row in inside[:7]]
        until = await get(session, path, symbol=symbol, endTime=end, limit=7)
        assert [row["a"] for row in until] == [row[0] for row in inside[-7:]]
        latest = await get(session, path, symbol=symbol)
        assert [as_ledger_row(row) for row in latest] == traded[-500:]

    run(check)


def test_a_local_book_kept_by_the_procedure_is_the_book() -> None:
    """Snapshot plus buffered diffs, as Binance says to do it, equals a later snapshot where both are known."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        async with listening(exchange, "/stream?streams=btcfdusd@depth@100ms/btcfdusd@depth") as client:
            exchange.advance(5)
            snapshot = await get(session, "/api/v3/depth", symbol="BTCFDUSD", limit=5000)
            exchange.advance(35)
            later = await get(session, "/api/v3/depth", symbol="BTCFDUSD", limit=1000)
            messages = [await receive(client) for _ in range(44)]
        for stream, count in (("btcfdusd@depth@100ms", 40), ("btcfdusd@depth", 4)):
            diffs = [message["data"] for message in messages if message["stream"] == stream]
            assert len(diffs) == count
            assert all(after["U"] == before["u"] + 1 for before, after in pairwise(diffs))
            assert diffs[-1]["u"] == later["lastUpdateId"]
            for side, name in (("bids", "b"), ("asks", "a")):
                levels = dict(snapshot[side])
                for diff in diffs:
                    if diff["u"] > snapshot["lastUpdateId"]:
                        levels.update(diff[name])
                kept = [[p, q] for p, q in levels.items() if float(q)]
                kept.sort(key=lambda level: float(level[0]), reverse=side == "bids")
                assert kept[:1000] == later[side]

    run(check)


def test_errors_are_binances() -> None:
    """Wrong requests get status, number and text as Binance gives them."""

    async def check(_: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        expected = {
            "/api/v3/depth?symbol=NOPE": (400, -1121),
            "/api/v3/depth": (400, -1102),
            "/api/v3/depth?symbol=BTCFDUSD&limit=many": (400, -1100),
            "/api/v3/aggTrades?symbol=BTCFDUSD&fromId=1&startTime=2": (400, -1128),
            "/api/v3/aggTrades?symbol=BTCFDUSD&foo=1": (400, -1104),
            "/api/v3/time?foo=1": (400, -1101),
            "/api/v3/nothing": (404, -1020),
        }
        for path, answer in expected.items():
            async with session.get(path) as reply:
                assert (reply.status, (await reply.json())["code"]) == answer
        assert await get(session, "/api/v3/depth", symbol="NOPE") == {"code": -1121, "msg": "Invalid symbol."}
        assert await get(session, "/api/v3/ping") == {}

    run(check)


def test_weight_is_counted_refused_and_banned() -> None:
    """Used weight is in the headers; over the limit comes 429 with Retry-After, and going on brings 418."""

    async def check(_: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        answers = []
        for _number in range(14):
            async with session.get("/api/v3/depth?symbol=BTCFDUSD&limit=5000") as reply:
                answers.append((reply.status, reply.headers["X-MBX-USED-WEIGHT-1M"], reply.headers.get("Retry-After")))
                refused = await reply.json()
        statuses = [status for status, _, _ in answers]
        assert statuses == [200] * 3 + [429] * 10 + [418]
        assert [weight for _, weight, _ in answers[:3]] == ["250", "500", "750"]
        assert answers[2][2] is None
        assert 1 <= int(answers[3][2] or 0) <= 60
        assert 60 < int(answers[13][2] or 0) <= 120
        assert refused["code"] == -1003
        assert "IP banned until" in refused["msg"]

    class Noon:
        def now_ns(self) -> int:
            return 1_700_000_000_000_000_000

    run(check, weight_limit=900, clock=Noon())


def test_subscriptions_are_live() -> None:
    """A connection without streams hears nothing, then what it subscribes to, then nothing again."""

    async def check(exchange: SimulatedExchange, _: aiohttp.ClientSession) -> None:
        async with listening(exchange, "/ws") as client:
            exchange.advance(20)
            await client.send(json.dumps({"method": "SUBSCRIBE", "params": [TRADES], "id": 1}))
            assert await receive(client) == {"result": None, "id": 1}
            exchange.advance(20)
            assert (await receive(client))["e"] == "aggTrade"
            await client.send(json.dumps({"method": "UNSUBSCRIBE", "params": [TRADES], "id": 2}))
            while (message := await receive(client)).get("id") != 2:
                assert message["e"] == "aggTrade"
            exchange.advance(20)
            await client.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 3}))
            assert await receive(client) == {"result": [], "id": 3}

    run(check)


def test_hooks_drop_and_warn() -> None:
    """A shutdown notice reaches raw and combined clients in their own shape; a disconnect cuts both."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        async with (
            listening(exchange, f"/ws/{TRADES}") as raw,
            listening(exchange, f"/stream?streams={TRADES}") as combined,
        ):
            async with session.post("/simulated/shutdown-notice") as reply:
                assert await reply.json() == {"notified": 2}
            notice = await receive(raw)
            assert notice["e"] == "serverShutdown"
            assert await receive(combined) == {"stream": "!serverShutdown", "data": notice}
            assert (await get(session, "/simulated/state"))["connections"] == 2
            async with session.post("/simulated/disconnect") as reply:
                assert await reply.json() == {"disconnected": 2}
            for client in (raw, combined):
                with pytest.raises(ConnectionClosed):
                    await receive(client)
        state = await get(session, "/simulated/state")
        assert (state["connections"], state["connections_accepted"]) == (0, 2)

    run(check)


def test_a_slow_client_is_dropped_and_the_market_goes_on() -> None:
    """A client that reads nothing loses its connection, not the market its time."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        async with listening(exchange, f"/ws/{TRADES}") as client:
            exchange.advance(300)
            with pytest.raises(ConnectionClosed):
                await receive_forever(client)
        state = await get(session, "/simulated/state")
        assert state["connections"] == 0
        assert state["last_agg_id"] > 100_000_001 + 500

    run(check, rules=ConnectionRules(queue_size=50))


def test_connections_are_pinged_and_end() -> None:
    """The server pings, a connection that answers lives on, and at its age every connection ends."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        pings = 0
        async with session.ws_connect(f"/ws/{TRADES}", autoping=False) as client:
            while (message := await client.receive(timeout=5)).type is aiohttp.WSMsgType.PING:
                pings += 1
                await client.pong(message.data)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 1001
        assert pings >= 3

    run(check, rules=ConnectionRules(ping_interval_s=0.1, pong_timeout_s=0.15, max_age_s=0.6))


def test_a_client_that_never_answers_pings_is_dropped() -> None:
    """Pings unanswered past the timeout end the connection before its age does."""

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"/ws/{TRADES}", autoping=False) as client:
            while (message := await client.receive(timeout=5)).type is aiohttp.WSMsgType.PING:
                pass
        assert message.type is not aiohttp.WSMsgType.CLOSE
        assert (await get(session, "/simulated/state"))["connections"] == 0

    run(check, rules=ConnectionRules(ping_interval_s=0.05, pong_timeout_s=0.15))


def test_too_many_messages_end_a_connection() -> None:
    """The sixth message within a second closes the connection as Binance does."""

    async def check(exchange: SimulatedExchange, _: aiohttp.ClientSession) -> None:
        async with listening(exchange, "/ws") as client:
            for _number in range(6):
                await client.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            with pytest.raises(ConnectionClosed) as closed:
                await receive_forever(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008

    run(check)


def test_two_exchanges_with_one_seed_trade_the_same() -> None:
    """Seed and steps decide prices and ids, whatever the clock says when they are made."""
    seen = []

    async def check(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
        exchange.advance(50)
        seen.append([row[:5] for row in await ledger_rows(session, 100_000_001)])

    run(check, seed=11)
    run(check, seed=11)
    assert seen[0] == seen[1]
    assert len(seen[0]) > 30


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_process_serves_until_told_to_stop() -> None:
    """`serve` prints its addresses, refuses a taken port in one line, and leaves with 0 on SIGTERM."""
    command = [sys.executable, "-m", "simulators.exchange", "serve", "--history-hours", "0.1", "--port"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            port = line.rpartition(":")[2].strip()
            with socket.create_connection(("127.0.0.1", int(port)), timeout=2):
                pass
            second = subprocess.run([*command, port], capture_output=True, text=True, env=environment, timeout=60)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert line.startswith("simulated BTCFDUSD at http://127.0.0.1:")
    assert second.returncode == 1
    assert second.stderr.startswith(f"error: cannot serve on 127.0.0.1:{port}: address already in use")
    assert second.stderr.count("\n") == 1
