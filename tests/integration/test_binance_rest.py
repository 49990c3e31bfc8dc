"""
The REST client against real sockets: pages, limits, refusals, nonsense.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from eventlog.clock import WallClock
from exchanges.binance.rest import BinanceRest
from exchanges.errors import BadReply, Refused, UnknownSymbol, Unreachable


def ask(handler: Callable[[web.Request], Awaitable[web.Response]], act: Callable[[BinanceRest], Awaitable[Any]]) -> Any:
    """Serve one handler on every path, and act on a client of it."""

    async def main() -> Any:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        rest = BinanceRest(f"http://127.0.0.1:{port}", "BTCFDUSD", 2.0, 6000, WallClock())
        try:
            return await act(rest)
        finally:
            await rest.close()
            await runner.cleanup()

    return asyncio.run(main())


def answers(status: int, text: str, **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A venue that always says the same."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handler


def test_rows_keep_the_venues_bytes() -> None:
    """Each trade of a page is kept as it was sent."""
    row = '{"a":7,"p":"1.0","q":"2","f":7,"l":7,"T":1,"m":true,"M":true}'
    (trade,) = ask(answers(200, f"[{row}]"), lambda rest: rest.trades_from(7))
    assert (trade.agg_id, trade.fact.data) == (7, row.encode())


@pytest.mark.parametrize("status", [403, 418, 429])
def test_a_refusal_stops_all_requests_for_as_long_as_it_says(status: int) -> None:
    """After 429 or 418 no request leaves before Retry-After has passed."""
    asked: list[float] = []

    async def handler(_: web.Request) -> web.Response:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return web.Response(status=status, headers={"Retry-After": "1"})
        return web.Response(text="[]")

    async def act(rest: BinanceRest) -> None:
        with pytest.raises(Refused) as refusal:
            await rest.trades_from(1)
        assert refusal.value.retry_after_s == 1
        assert await rest.trades_from(1) == []

    ask(handler, act)
    assert asked[1] - asked[0] >= 1.0


def test_the_used_weight_is_read_and_obeyed() -> None:
    """Where the venue says that the minute is used up, the next request waits for the next minute."""

    async def act(rest: BinanceRest) -> bool:
        await rest.trades_from(1)
        try:
            await asyncio.wait_for(rest.trades_from(1), 0.3)
        except TimeoutError:
            return True
        return time.time() % 60 < 1  # the minute turned in between

    assert ask(answers(200, "[]", X_MBX_USED_WEIGHT_1M="5999"), act)


def test_unknown_symbol_is_told_apart() -> None:
    """-1121 is no passing fault."""
    with pytest.raises(UnknownSymbol, match=r"binance\.symbol"):
        ask(answers(400, '{"code":-1121,"msg":"Invalid symbol."}'), lambda rest: rest.instrument())


@pytest.mark.parametrize(("status", "text"), [(200, "<html>"), (200, '{"a":'), (500, "oops"), (200, '[{"p":1}]')])
def test_nonsense_is_a_bad_reply(status: int, text: str) -> None:
    """HTML, cut JSON, errors and rows without an id are refused with a reason."""
    with pytest.raises(BadReply):
        ask(answers(status, text), lambda rest: rest.trades_from(1))


def test_nobody_there_is_unreachable() -> None:
    """A refused connection and a slow answer are the same to us."""

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response(text="[]")

    with pytest.raises(Unreachable):
        ask(slow, lambda rest: rest.trades_from(1))

    async def gone() -> None:
        rest = BinanceRest("http://127.0.0.1:9", "BTCFDUSD", 1.0, 6000, WallClock())
        try:
            await rest.snapshot(5)
        finally:
            await rest.close()

    with pytest.raises(Unreachable):
        asyncio.run(gone())
