"""
Binance spot over REST: depth, aggTrades, exchangeInfo.

Source: rest-api.md (July 2026). Limits are per address: the used weight is read from every reply, 429 and 418 stop all
requests for as long as Retry-After says.
"""

import asyncio
import math
from dataclasses import dataclass

import aiohttp
import msgspec

from eventlog.clock import Clock
from eventlog.facts import INSTRUMENT, SNAPSHOT, Fact
from exchanges.binance.mapper import pack_snapshot
from exchanges.errors import BadReply, ExchangeError, Refused, UnknownSymbol, Unreachable
from market.timestamps import MINUTE_NS

PAGE = 1000
"""Most aggTrades a request returns."""

_WEIGHT_OF_TRADES = 4
_WEIGHT_OF_INFO = 20
_USED = "X-MBX-USED-WEIGHT-1M"
_LONGEST_BODY = 32 * 1024 * 1024


class _Info(msgspec.Struct):
    symbols: list[msgspec.Raw]


class _Row(msgspec.Struct):
    a: int


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
    """

    def __init__(self, base_url: str, symbol: str, timeout_s: float, weight_per_minute: int, clock: Clock) -> None:
        self.symbol = symbol
        self._base = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._budget = weight_per_minute
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._minute = 0
        self._used = 0
        self._wait_until_ns = 0

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
        try:
            symbols = msgspec.json.decode(body, type=_Info).symbols
        except msgspec.DecodeError as error:
            raise BadReply(f"exchangeInfo is not as documented: {error}") from error
        if len(symbols) != 1:
            raise UnknownSymbol(f"the venue lists {len(symbols)} symbols named {self.symbol}; check binance.symbol")
        return Fact(INSTRUMENT, received, bytes(symbols[0]))

    async def snapshot(self, limit: int) -> Fact:
        """The book, as a packed fact with the times of request and response."""
        parameters = {"symbol": self.symbol, "limit": str(limit)}
        body, sent, received = await self._get("/api/v3/depth", parameters, depth_weight(limit))
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

    async def _trades(self, parameters: dict[str, str]) -> list[TradeRow]:
        parameters = {"symbol": self.symbol, **parameters}
        body, _, received = await self._get("/api/v3/aggTrades", parameters, _WEIGHT_OF_TRADES)
        try:
            rows = msgspec.json.decode(body, type=list[msgspec.Raw])
            return [TradeRow(msgspec.json.decode(r, type=_Row).a, Fact("agg_trade", received, bytes(r))) for r in rows]
        except msgspec.DecodeError as error:
            raise BadReply(f"aggTrades is not as documented: {error}") from error

    async def _get(self, path: str, parameters: dict[str, str], weight: int) -> tuple[bytes, int, int]:
        await self._wait_for(weight)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=False)
        sent = self._clock.now_ns()
        try:
            async with self._session.get(self._base + path, params=parameters) as reply:
                body = await reply.content.read(_LONGEST_BODY)
                while not reply.content.at_eof() and len(body) < _LONGEST_BODY:
                    body += await reply.content.read(_LONGEST_BODY)
                received = self._clock.now_ns()
                if sent // MINUTE_NS == self._minute:
                    self._note_weight(reply.headers.get(_USED))
                if reply.status != 200:
                    raise self._refusal(path, reply.status, reply.headers.get("Retry-After"), body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{self._base}{path} does not answer: {_short(error)}") from error
        return body, sent, received

    async def _wait_for(self, weight: int) -> None:
        """Until a ban is over and the minute's budget has room."""
        while True:
            now = self._clock.now_ns()
            minute = now // MINUTE_NS
            if minute != self._minute:
                self._minute, self._used = minute, 0
            if now < self._wait_until_ns:
                pause_ns = self._wait_until_ns - now
            elif self._used + weight > self._budget and self._used:
                pause_ns = (minute + 1) * MINUTE_NS - now
            else:
                self._used += weight
                return
            await asyncio.sleep(pause_ns / 1e9)

    def _note_weight(self, used: str | None) -> None:
        if used is not None and used.isdigit():
            self._used = max(self._used, int(used))

    def _refusal(self, path: str, status: int, retry_after: str | None, body: bytes) -> ExchangeError:
        if status in (418, 429, 403):
            wait_s = _seconds(retry_after, 120.0 if status == 418 else 10.0)
            self._wait_until_ns = max(self._wait_until_ns, self._clock.now_ns() + int(wait_s * 1e9))
            return Refused(f"{path} answered {status}; no request for {wait_s:.0f} s", wait_s)
        if status == 400 and b"-1121" in body:
            return UnknownSymbol(f"the venue does not know {self.symbol}; check binance.symbol")
        return BadReply(f"{path} answered {status}: {body[:120].decode(errors='replace')}")


def _seconds(text: str | None, default: float) -> float:
    try:
        value = float(text) if text is not None else default
    except ValueError:
        return default
    return value if math.isfinite(value) and 0 < value < 4 * 86_400 else default


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:160]
