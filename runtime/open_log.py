"""
Opens a market's logs with the mapper of its venue.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from eventlog.codec import Decode
from eventlog.errors import LogNotFound
from eventlog.facts.entry import Entry
from eventlog.facts.market import INSTRUMENT
from eventlog.names import LogName
from eventlog.server.data_folder import holds_data
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from exchanges.binance.instruments import parse_instrument
from exchanges.binance.mapper import BinanceMapper
from market.errors import BadMarket
from market.instrument import Market

if TYPE_CHECKING:
    from eventlog.store.hot import HotLog

OpenLog = Callable[[], AbstractContextManager[Log]]
"""Opens a log for reading; picklable where several processes share the work."""

_MAX_SEARCHED = 2_000  # entries of the stream that are searched for an instrument fact
_CREATE = {"events": "record or import one", "decisions": "run agent_analyzer.py on it"}
"""How a log of each stream comes to be, for messages."""


def mapper_for(market: Market, quantity_decimals: int = 8) -> BinanceMapper:
    """
    The mapper of a market's venue.

    Raises:
        BadMarket: the venue is not supported.
    """
    if market.venue != "binance":
        raise BadMarket(f"venue {market.venue!r} is not supported; binance is")
    return BinanceMapper(market.symbol, quantity_decimals)


@contextmanager
def open_log(storage: Path, market: Market, stream: str = "events", url: str | None = None) -> Iterator[Log]:
    """
    Open a log for reading: its archive, and its stream where a server is named or this storage ever had its own.

    Args:
        storage: folder of all logs.
        market: whose log.
        stream: events or decisions.
        url: the Redis server, None for the one embedded in the storage.

    Raises:
        LogNotFound: the storage holds no such log. LogBroken: it holds a recording whose catalogue is lost.
    """
    name = LogName(stream, market)
    cold = ColdLog(storage, name)
    mapper_for(market)
    if not cold.exists():
        cold.expect_nothing_recorded()
        raise LogNotFound(
            f"no log {name} in {storage}; {_CREATE.get(stream, 'record one')} first, or check --market and --storage"
        )
    if url is None and not holds_data(storage):
        yield Log(cold, None, _decoders(cold, None, market))
        return
    # Loaded only where there is a server: the libraries take a tenth of a command's start.
    from eventlog.server.embedded_server import EmbeddedServer
    from eventlog.store import hot as hots

    server = EmbeddedServer(storage)
    client = server.hold() if url is None else hots.connect(url=url)
    try:
        hot = hots.HotLog(client, name)
        if hot.log_id() not in (None, cold.catalogue.log_id):
            hots.refuse_other_storage(name, hot.log_id() or "", cold.catalogue.log_id)
        yield Log(cold, hot, _decoders(cold, hot, market))
    finally:
        if url is None:
            server.release(client)
        else:
            client.close()


def _decoders(cold: ColdLog, hot: "HotLog | None", market: Market) -> Mapping[str, Decode]:
    return mapper_for(market, quantity_decimals(cold, hot)).decoders


def quantity_decimals(cold: ColdLog, hot: "HotLog | None") -> int:
    """The number of decimals of this log's quantities, from its first instrument fact; 8 where there is none yet."""
    for batch in cold.read(0, cold.catalogue.last_seq, [INSTRUMENT]):
        if INSTRUMENT in batch.rows:
            return int(batch.rows[INSTRUMENT]["quantity_decimals"][0])
    entries: list[Entry] = hot.read(0, None, _MAX_SEARCHED) if hot else []
    instrument = next((e for e in entries if e.kind == INSTRUMENT), None)
    return parse_instrument(instrument.data).quantity_decimals if instrument else 8
