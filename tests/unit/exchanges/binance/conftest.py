"""What tests of recordings begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventlog.clock import ManualClock
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer
from market.instrument import Market
from tests.builders import NOW


@pytest.fixture
def importer(tmp_path: Path) -> Iterator[Importer]:
    """An importer of an empty log of binance:BTCUSDT."""
    importer = Importer(
        ColdLog(tmp_path / "storage", LogName("events", Market("binance", "BTCUSDT"))), ManualClock(NOW * 2)
    )
    yield importer
    importer.close()
