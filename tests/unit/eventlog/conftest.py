"""What tests of imports begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventlog.clock import ManualClock
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer
from tests.builders import EVENTS, NOW


@pytest.fixture
def importer(tmp_path: Path) -> Iterator[Importer]:
    """An importer of an empty log."""
    importer = Importer(ColdLog(tmp_path / "storage", EVENTS), ManualClock(NOW))
    yield importer
    importer.close()
