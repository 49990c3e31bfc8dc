"""
Binance as set up by settings: one connection for all markets, an exchange for each, and the limits of both.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from eventlog.clock import Clock
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from exchanges.binance.exchange import BinanceExchange
from exchanges.binance.feed.stream import BinanceStream
from exchanges.binance.limits import AddressLimits
from exchanges.binance.raw_messages import event_time_ns
from exchanges.binance.rest import BinanceRest, depth_weight
from exchanges.errors import ExchangeError, UnknownSymbol
from market.instrument import Market
from runtime.open_log import mapper_for, quantity_decimals
from runtime.settings.settings import Settings, SettingsError

_BOOK_SHARE = 0.8  # most of the weight per minute for books; the rest is for all other requests
_MAX_QUERY = 8_000  # characters that Binance reads of an address that names all streams

_log = structlog.get_logger()


class BinanceVenue:
    """
    The venue of all markets that settings record.

    Raises:
        SettingsError: the books cost more weight, or the streams a longer address, than Binance allows.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        weight = weight_of_books(settings)
        expect_short_query(settings)
        self._settings = settings
        self._clock = clock
        venue = settings.binance
        self._limits = AddressLimits(venue.weight_per_minute, weight)
        streams, proxy = _streams(settings, venue.recorded_symbols), settings.proxy_for(venue.websocket_url)
        self._stream = BinanceStream(venue.websocket_url, streams, clock, limits=self._limits, proxy=proxy)

    def exchange_of(self, market: Market, cold: ColdLog, hot: HotLog) -> BinanceExchange:
        """
        Make the exchange that records a market into its log.

        Args:
            market: the market.
            cold, hot: the archive and the stream of its log, which say how many decimals quantities keep.
        """
        return BinanceExchange(self._rest_of(market), self._stream, mapper_for(market, quantity_decimals(cold, hot)))

    def event_time_ns(self, data: bytes) -> int | None:
        """When Binance sent a message, UTC ns; None where it does not say."""
        return event_time_ns(data)

    async def expect_symbol(self, market: Market, storage: Path, connect: Callable[[], Any]) -> None:
        """
        Before a log is created, check that the venue knows the symbol; passes where the venue does not answer.

        Args:
            market: the market to record.
            storage: folder of all logs; a market whose log exists there is not checked.
            connect: makes a connection to the log's server, which must answer first.

        Raises:
            UnknownSymbol: it does not. StoreUnavailable: the log's server does not answer.
        """
        rest = self._rest_of(market)
        try:
            name = LogName("events", market)
            if not ColdLog(storage, name).exists():
                await asyncio.to_thread(lambda: HotLog(connect(), name).log_id())  # reports a server that is down
                await rest.instrument()
        except UnknownSymbol:
            raise
        except ExchangeError as error:
            _log.warning("exchangeInfo not available yet", market=str(market), reason=str(error))
        finally:
            await rest.close()

    def _rest_of(self, market: Market) -> BinanceRest:
        venue, clock = self._settings.binance, self._clock
        proxy = self._settings.proxy_for(venue.rest_url)
        return BinanceRest(
            venue.rest_url, market.symbol, venue.timeout, venue.weight_per_minute, clock, self._limits, proxy=proxy
        )


def weight_of_books(settings: Settings) -> int:
    """The most weight that the books of all markets cost in one minute, all requested at once."""
    book, venue = settings.data_collector.depth_snapshot, settings.binance
    limit = int(_BOOK_SHARE * venue.weight_per_minute)
    weight = len(venue.recorded_symbols) * depth_weight(book.limit) * math.ceil(60 / book.update_interval_seconds)
    if weight > limit:
        raise SettingsError(
            f"data_collector.depth_snapshot: {len(venue.recorded_symbols)} books of {book.limit} levels every "
            f"{book.update_interval_seconds} s cost a weight of {weight:,} in one minute, of {limit:,} there are (80 % "
            "of binance.weight_per_minute); record fewer markets, fewer levels or, down to once a minute, less often"
        )
    return weight


def expect_short_query(settings: Settings) -> None:
    """Raise SettingsError where the streams of all markets make too long an address for one connection."""
    symbols = settings.binance.recorded_symbols
    lengths = [len(f"streams={'/'.join(_streams(settings, symbols[: n + 1]))}") for n in range(len(symbols))]
    too_many = sum(length > _MAX_QUERY for length in lengths)
    if too_many:
        raise SettingsError(
            f"binance.symbols: {len(symbols)} markets are {too_many} too many for one connection: their "
            f"streams make an address of {lengths[-1]:,} characters, of {_MAX_QUERY:,} Binance reads; name fewer, "
            "and the others in the settings of a second collector with another redis.storage_dir"
        )


def _streams(settings: Settings, symbols: Sequence[str]) -> list[str]:
    kinds = ("aggTrade", "depth@100ms") if settings.data_collector.depth_diff else ("aggTrade",)
    return [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in kinds]
