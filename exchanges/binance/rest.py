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
"""Largest number of aggTrades that one request returns."""

_AGG_TRADES = "/api/v3/aggTrades"
_TRADES_WEIGHT = 4  # of a request for aggTrades, by the exchange's page
_INFO_WEIGHT = 20  # of exchangeInfo
_TIME_WEIGHT = 1  # of time
_MIN_LEVELS = 5  # the least the exchange answers with: the cheapest question about a book
_USED_WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
_MAX_BODY_BYTES = 32 * 1024 * 1024  # bounds the memory of one reply

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
    """A request for the server's time: when it was sent and answered by our clock, and the answer (ms, its clock)."""

    sent_ns: int
    received_ns: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One aggTrade as a fact, and its agg id."""

    agg_id: int
    fact: Fact


def depth_weight(limit: int) -> int:
    """Request weight of a depth request with `limit` levels."""
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


class BinanceRest:
    """
    One symbol's REST endpoints. Every request may raise BadReply, Refused or Unreachable, see `exchanges.errors`.

    Args:
        base_url: e.g. https://data-api.binance.vision.
        symbol: upper case.
        timeout_s: for a complete request.
        weight_per_minute: our own ceiling, below the exchange's 6000; not used where `limits` are given.
        clock: stamps requests and replies.
        limits: of the IP address, shared with other clients of the exchange; None for limits of its own.
        proxy: URL of the proxy that requests go through, which may hold a password; None for none.

    Attributes:
        symbol, limits: as above.
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
        """The current time by the clock that stamps requests."""
        return self._clock.now_ns()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def instrument(self) -> Fact:
        """
        Fetch the symbol's object of exchangeInfo as a fact.

        Raises:
            UnknownSymbol: the exchange does not list it.
        """
        body, _, received_ns = await self._get("/api/v3/exchangeInfo", {"symbol": self.symbol}, _INFO_WEIGHT)
        symbols = _decode("exchangeInfo", body, _Info).symbols
        if len(symbols) != 1:
            raise UnknownSymbol(
                f"the venue lists {len(symbols)} symbols named {self.symbol}; check binance.symbol and binance.symbols"
            )
        return Fact(INSTRUMENT, received_ns, bytes(symbols[0]))

    async def snapshot(self, limit: int) -> Fact:
        """Fetch the book with `limit` levels per side, packed with the times of request and response."""
        parameters = {"symbol": self.symbol, "limit": str(limit)}
        body, sent_ns, received_ns = await self._get("/api/v3/depth", parameters, depth_weight(limit), is_book=True)
        if not body.startswith(b"{"):
            raise BadReply("depth is not JSON")
        return Fact(SNAPSHOT, received_ns, pack_snapshot(sent_ns, received_ns, limit, body))

    async def trades_from(self, agg_id: int, limit: int = PAGE) -> list[TradeRow]:
        """Fetch up to `limit` aggTrades from an id on, oldest first; the first id may be larger."""
        return await self._trades({"fromId": str(agg_id), "limit": str(min(limit, PAGE))})

    async def trades_since(self, time_ns: int, limit: int) -> list[TradeRow]:
        """Fetch up to `limit` aggTrades at or after a time, oldest first."""
        return await self._trades({"startTime": str(time_ns // 1_000_000), "limit": str(limit)})

    async def latest_trades(self, limit: int) -> list[TradeRow]:
        """Fetch the newest `limit` aggTrades, oldest first."""
        return await self._trades({"limit": str(limit)})

    async def last_update_id(self) -> int:
        """Fetch the book's newest update id, by the cheapest request that has it."""
        parameters = {"symbol": self.symbol, "limit": str(_MIN_LEVELS)}
        body, _, _ = await self._get("/api/v3/depth", parameters, depth_weight(_MIN_LEVELS))
        return _decode("depth", body, _BookId).lastUpdateId

    async def server_time(self) -> RoundTrip:
        """Fetch the exchange's time, with the times of request and reply by our clock."""
        body, sent_ns, received_ns = await self._get("/api/v3/time", {}, _TIME_WEIGHT)
        return RoundTrip(sent_ns, received_ns, _decode("time", body, _Time).serverTime)

    async def _trades(self, parameters: dict[str, str]) -> list[TradeRow]:
        parameters = {"symbol": self.symbol, **parameters}
        body, _, received_ns = await self._get(_AGG_TRADES, parameters, _TRADES_WEIGHT)
        try:
            rows = msgspec.json.decode(body, type=list[msgspec.Raw])
            return [
                TradeRow(msgspec.json.decode(r, type=_Row).a, Fact("agg_trade", received_ns, bytes(r))) for r in rows
            ]
        except UNREADABLE as error:
            raise BadReply(f"aggTrades is not as documented: {error}") from error

    async def _get(
        self, path: str, parameters: dict[str, str], weight: int, is_book: bool = False
    ) -> tuple[bytes, int, int]:
        await self._wait_for_weight(weight, is_book)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=False)
        sent_ns = self._clock.now_ns()
        try:
            request = self._session.get(
                self._base + path, params=parameters, proxy=self._proxy, allow_redirects=False
            )  # a redirect leads to an address that the settings do not name
            async with request as reply:
                body = await reply.content.read(_MAX_BODY_BYTES)
                while not reply.content.at_eof() and len(body) < _MAX_BODY_BYTES:
                    body += await reply.content.read(_MAX_BODY_BYTES)
                received_ns = self._clock.now_ns()
                used_weight = reply.headers.get(_USED_WEIGHT_HEADER, "")
                if used_weight.isascii() and used_weight.isdigit():
                    self.limits.note_weight(int(used_weight), sent_ns)
                took_ms = round((received_ns - sent_ns) / 1e6, 1)
                _log.debug("request", path=path, status=reply.status, bytes=len(body), took_ms=took_ms)
                if reply.status != 200:
                    raise self._to_error(path, reply.status, reply.headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(
                f"{self._base}{path} does not answer{self._via}: {_describe(error, self._proxy)}"
            ) from error
        return body, sent_ns, received_ns

    async def _wait_for_weight(self, weight: int, is_book: bool) -> None:
        """Wait until no ban holds and the minute has enough weight left."""
        while pause_ns := self.limits.take_weight(weight, self._clock.now_ns(), is_book):
            await asyncio.sleep(pause_ns / 1e9)

    def _to_error(self, path: str, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError:
        if status in (418, 429, 403):
            wait_s = _parse_seconds(headers.get("Retry-After"), 120.0 if status == 418 else 10.0)
            self.limits.note_refusal(status, wait_s, self._clock.now_ns())
            return Refused(f"{path} answered {status}; no request for {wait_s:.0f} s", wait_s)
        if status == 400 and b"-1121" in body:
            return UnknownSymbol(f"the venue does not know {self.symbol}; check binance.symbol and binance.symbols")
        if status == 451:
            return BadReply(
                f"{path} answered 451: {self._base} does not serve this place; name another binance.rest_url, such as "
                "https://data-api.binance.vision"
            )
        if 300 <= status < 400:
            location = printable(headers.get("Location", "nowhere").partition("?")[0], 120)
            return BadReply(
                f"{path} answered {status} and points to {location}; if that is right, name it in binance.rest_url"
            )
        return BadReply(f"{path} answered {status}: {printable(body[:120].decode(errors='replace'))}")


def _decode(name: str, body: bytes, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE as error:
        raise BadReply(f"{name} is not as documented: {error}") from error


def _parse_seconds(text: str | None, default: float) -> float:
    try:
        value = float(text) if text is not None else default
    except ValueError:
        return default
    return value if math.isfinite(value) and 0 < value < 4 * 86_400 else default


def _describe(error: BaseException, proxy: str | None) -> str:
    """An error on one line; only its type where the proxy's URL holds a password, which its text might quote."""
    if proxy is not None and "@" in proxy:
        return type(error).__name__
    return printable((str(error) or type(error).__name__).splitlines()[0], 160)
