"""Opening logs: where storage, server and venue meet."""

from pathlib import Path
from typing import Any

import pytest

from eventlog.errors import EventLogError, LogNotFound, StoreUnavailable, WriterRefused
from eventlog.facts.market import AGG_TRADE
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store.cold import ColdLog
from market.errors import BadMarket
from market.instrument import Market
from runtime.open_log import mapper_for, open_log, quantity_decimals
from tests.builders import EVENTS, MARKET, a_cold_log, a_trade, a_writer, an_instrument, contents


def test_an_archive_alone_starts_no_server(tmp_path: Path) -> None:
    """An import has no stream."""
    a_cold_log(tmp_path, [a_trade(1)])
    with open_log(tmp_path, MARKET) as log:
        assert log.hot is None
        assert len(contents(log.read())[AGG_TRADE]) == 1
    assert not (tmp_path / "redis").exists()


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    """Nor is a venue nobody speaks."""
    with pytest.raises(LogNotFound, match="binance:BTCFDUSD"), open_log(tmp_path, MARKET):
        pass
    with pytest.raises(BadMarket, match="kraken"):
        mapper_for(Market("kraken", "BTCUSD"))


def test_the_storages_own_server_is_started_and_stopped(tmp_path: Path, own_server: EmbeddedServer) -> None:
    """What a recorder left in the stream is read after it has gone."""
    client = own_server.ensure()
    writer = a_writer(tmp_path, client)
    writer.append([a_trade(1), a_trade(2)])
    writer.close()
    own_server.release(client)
    assert not own_server.socket.exists()
    with open_log(tmp_path, MARKET) as log:
        assert len(contents(log.read())[AGG_TRADE]) == 2
    assert not own_server.socket.exists()


def test_a_named_server_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    """Never a fallback to what happens to be in the archive."""
    a_cold_log(tmp_path, [a_trade(1)])
    with pytest.raises(StoreUnavailable, match="is it running"), open_log(tmp_path, MARKET, url="redis://127.0.0.1:1"):
        pass


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1", "redis://h:port"])
def test_an_address_that_is_none_is_one_line(tmp_path: Path, url: str) -> None:
    """A mistyped `--redis` is named with its mend."""
    a_cold_log(tmp_path, [a_trade(1)])
    with pytest.raises(EventLogError, match="redis://"), open_log(tmp_path, MARKET, url=url):
        pass


def test_another_storages_server_is_refused(tmp_path: Path, shared_server: EmbeddedServer, client: Any) -> None:
    """Joining two logs would make a third that never was."""
    a_writer(tmp_path / "a", client).close()
    a_cold_log(tmp_path / "b", [a_trade(1)], created_ns=1)
    url = f"unix://{shared_server.socket}?password={shared_server.password()}"
    with pytest.raises(WriterRefused, match="belongs to another storage"), open_log(tmp_path / "b", MARKET, url=url):
        pass
    with open_log(tmp_path / "a", MARKET, url=url) as log:
        assert log.last_seq() == 0


def test_quantities_keep_the_decimals_their_market_needs(tmp_path: Path, client: Any) -> None:
    """From the archive, else from the stream, else eight."""
    many = an_instrument(step="1.00", largest="46116860414.00")
    assert quantity_decimals(a_cold_log(tmp_path / "a", [a_trade(1)], [many]), None) == 0
    assert quantity_decimals(a_cold_log(tmp_path / "b", [an_instrument()]), None) == 8
    writer = a_writer(tmp_path / "c", client)
    writer.append([a_trade(1)])
    assert quantity_decimals(ColdLog(tmp_path / "c", EVENTS), writer.hot) == 8
    writer.append([many])
    assert quantity_decimals(ColdLog(tmp_path / "c", EVENTS), writer.hot) == 0
    writer.close()
