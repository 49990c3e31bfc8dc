"""
Binance spot over REST: depth, aggTrades, exchangeInfo, time.

Source: rest-api.md (July 2026). Limits are per address: the used weight is read from every reply, 429 and 418 stop all
requests for as long as Retry-After says.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import msgspec
import structlog

from eventlog.clock import Clock
from eventlog.facts.entry import Fact
from eventlog.facts.market import INSTRUMENT, SNAPSHOT
from exchanges.binance.limits import AddressLimits
from exchanges.binance.messages import UNREADABLE, pack_snapshot
from exchanges.errors import BadReply, ExchangeError, Refused, UnknownSymbol, Unreachable
from market.printable import printable

PAGE = 1000
"""Most aggTrades a request returns."""

_AGG_TRADES = "/api/v3/aggTrades"
_WEIGHT_OF_TRADES = 4
_WEIGHT_OF_INFO = 20
_WEIGHT_OF_TIME = 1
_FEWEST_LEVELS = 5
_USED = "X-MBX-USED-WEIGHT-1M"
_LONGEST_BODY = 32 * 1024 * 1024

_Shape = TypeVar("_Shape")
_log = structlog.get_logger()


class _Info(msgspec.Struct):
    symbols: list[msgspec.Raw]


class _Row(msgspec.Struct):
    a: int


class _Time(msgspec.Struct):
    serverTime: int


class _BookId(msgspec.Struct):
    lastUpdateId: int


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """When the time was asked and answered by our clock, and what the venue said in milliseconds of its own."""

    sent_ns: int
    received_ns: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One aggTrade as a fact, and its id."""

    agg_id: int
    fact: Fact


def depth_weight(limit: int) -> int:
    """What a depth request of so many levels costs."""
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


class BinanceRest:
    """
    One symbol's REST endpoints.

    Args:
        base_url: e.g. https://data-api.binance.vision. timeout_s: for a whole request.
        weight_per_minute: our own ceiling below the venue's 6000.
        limits: of the address, shared with whoever else speaks to the venue; they hold instead of that ceiling.
        proxy: what requests go through; its address may hold a password.

    Attributes:
        symbol: whose endpoints these are. limits: what is held to.
    """

    def __init__(
        self,
        base_url: str,
        symbol: str,
        timeout_s: float,
        weight_per_minute: int,
        clock: Clock,
        limits: AddressLimits | None = None,
        proxy: str | None = None,
    ) -> None:
        self.symbol = symbol
        self._base = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self.limits = limits or AddressLimits(weight_per_minute)
        self._clock = clock
        self._proxy = proxy
        self._via = "" if proxy is None else " through the proxy"
        self._session: aiohttp.ClientSession | None = None

    def now_ns(self) -> int:
        """The time by the clock that stamps requests."""
        return self._clock.now_ns()

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    async def instrument(self) -> Fact:
        """
        The symbol's object of exchangeInfo as a fact.

        Raises:
            UnknownSymbol: the venue does not list it.
        """
        body, _, received = await self._get("/api/v3/exchangeInfo", {"symbol": self.symbol}, _WEIGHT_OF_INFO)
        symbols = _decoded("exchangeInfo", body, _Info).symbols
        if len(symbols) != 1:
            raise UnknownSymbol(
                f"the venue lists {len(symbols)} symbols named {self.symbol}; check binance.symbol and binance.symbols"
            )
        return Fact(INSTRUMENT, received, bytes(symbols[0]))

    async def snapshot(self, limit: int) -> Fact:
        """The book, as a packed fact with the times of request and response."""
        parameters = {"symbol": self.symbol, "limit": str(limit)}
        body, sent, received = await self._get("/api/v3/depth", parameters, depth_weight(limit), books=True)
        if not body.startswith(b"{"):
            raise BadReply("depth is not JSON")
        return Fact(SNAPSHOT, received, pack_snapshot(sent, received, limit, body))

    async def trades_from(self, agg_id: int, limit: int = PAGE) -> list[TradeRow]:
        """Up to `limit` aggTrades from an id on, oldest first; the first may be younger than asked for."""
        return await self._trades({"fromId": str(agg_id), "limit": str(min(limit, PAGE))})

    async def trades_since(self, time_ns: int, limit: int) -> list[TradeRow]:
        """Up to `limit` aggTrades from a time on, oldest first."""
        return await self._trades({"startTime": str(time_ns // 1_000_000), "limit": str(limit)})

    async def latest_trades(self, limit: int) -> list[TradeRow]:
        """The last aggTrades, oldest first."""
        return await self._trades({"limit": str(limit)})

    async def last_update_id(self) -> int:
        """The book's newest update id, as cheaply as it can be had."""
        parameters = {"symbol": self.symbol, "limit": str(_FEWEST_LEVELS)}
        body, _, _ = await self._get("/api/v3/depth", parameters, depth_weight(_FEWEST_LEVELS))
        return _decoded("depth", body, _BookId).lastUpdateId

    async def server_time(self) -> RoundTrip:
        """What time it is at the venue, and between which two moments of ours it said so."""
        body, sent, received = await self._get("/api/v3/time", {}, _WEIGHT_OF_TIME)
        return RoundTrip(sent, received, _decoded("time", body, _Time).serverTime)

    async def _trades(self, parameters: dict[str, str]) -> list[TradeRow]:
        parameters = {"symbol": self.symbol, **parameters}
        body, _, received = await self._get(_AGG_TRADES, parameters, _WEIGHT_OF_TRADES)
        try:
            rows = msgspec.json.decode(body, type=list[msgspec.Raw])
            return [TradeRow(msgspec.json.decode(r, type=_Row).a, Fact("agg_trade", received, bytes(r))) for r in rows]
        except UNREADABLE as error:
            raise BadReply(f"aggTrades is not as documented: {error}") from error

    async def _get(
        self, path: str, parameters: dict[str, str], weight: int, books: bool = False
    ) -> tuple[bytes, int, int]:
        await self._wait_for(weight, books)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=False)
        sent = self._clock.now_ns()
        try:
            asking = self._session.get(
                self._base + path, params=parameters, proxy=self._proxy, allow_redirects=False
            )  # a redirect leads where nobody chose to go
            async with asking as reply:
                body = await reply.content.read(_LONGEST_BODY)
                while not reply.content.at_eof() and len(body) < _LONGEST_BODY:
                    body += await reply.content.read(_LONGEST_BODY)
                received = self._clock.now_ns()
                used = reply.headers.get(_USED, "")
                if used.isascii() and used.isdigit():
                    self.limits.note_weight(int(used), sent)
                took_ms = round((received - sent) / 1e6, 1)
                _log.debug("asked", path=path, status=reply.status, bytes=len(body), took_ms=took_ms)
                if reply.status != 200:
                    raise self._refusal(path, reply.status, reply.headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{self._base}{path} does not answer{self._via}: {_short(error, self._proxy)}") from error
        return body, sent, received

    async def _wait_for(self, weight: int, books: bool) -> None:
        """Until a ban is over and the minute's budget has room."""
        while pause_ns := self.limits.request(weight, self._clock.now_ns(), books):
            await asyncio.sleep(pause_ns / 1e9)

    def _refusal(self, path: str, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError:
        if status in (418, 429, 403):
            wait_s = _seconds(headers.get("Retry-After"), 120.0 if status == 418 else 10.0)
            self.limits.refused(status, wait_s, self._clock.now_ns())
            return Refused(f"{path} answered {status}; no request for {wait_s:.0f} s", wait_s)
        if status == 400 and b"-1121" in body:
            return UnknownSymbol(f"the venue does not know {self.symbol}; check binance.symbol and binance.symbols")
        if status == 451:
            return BadReply(
                f"{path} answered 451: {self._base} does not serve this place; name another binance.rest_url, such as "
                "https://data-api.binance.vision"
            )
        if 300 <= status < 400:
            there = printable(headers.get("Location", "nowhere").partition("?")[0], 120)
            return BadReply(
                f"{path} answered {status} and points to {there}; if that is right, name it in binance.rest_url"
            )
        return BadReply(f"{path} answered {status}: {printable(body[:120].decode(errors='replace'))}")


def _decoded(name: str, body: bytes, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE as error:
        raise BadReply(f"{name} is not as documented: {error}") from error


def _seconds(text: str | None, default: float) -> float:
    try:
        value = float(text) if text is not None else default
    except ValueError:
        return default
    return value if math.isfinite(value) and 0 < value < 4 * 86_400 else default


def _short(error: BaseException, proxy: str | None) -> str:
    """An error on one line; of a proxy that asks for a password only the kind of error: its text may quote that."""
    if proxy is not None and "@" in proxy:
        return type(error).__name__
    return printable((str(error) or type(error).__name__).splitlines()[0], 160)
