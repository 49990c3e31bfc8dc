"""Open gaps of an imported log: closed by trades that come in a later file, and by nothing less."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from eventlog.clock import ManualClock
from eventlog.facts.capture import GAP
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from exchanges.binance.recordings.recording import append_recording
from market.timestamps import MINUTE_NS, SECOND_NS
from tests.builders import EVENTS, MAPPER, NOW, T0, a_recording, a_trade, contents

MS = 10**6


def import_ids(importer: Importer, tmp_path: Path, at_ns: int, agg_ids: Iterable[int], holes: int = 0) -> None:
    """Import a recording of trades, a millisecond apart; how many gaps it leaves."""
    lines = [(at_ns + i * MS, a_trade(agg_id, at_ns=T0).data) for i, agg_id in enumerate(agg_ids)]
    assert append_recording(importer, a_recording(tmp_path / "r", lines)).holes == holes


def gaps(importer: Importer) -> list[tuple[Any, ...]]:
    """What the log says of gaps, in order."""
    rows = contents(importer.cold.read(0, importer.cold.refresh().last_seq)).get(GAP, [])
    return [(row["what"], row["first"], row["last"], row["cause"], row["state"]) for row in rows]


def is_complete(importer: Importer) -> bool:
    """What `check` says."""
    return check(Log(importer.cold, None, MAPPER.decoders)).complete


def test_a_trade_that_comes_by_the_next_file_closes_its_gap(importer: Importer, tmp_path: Path) -> None:
    """Right behind the trade, as a recorder says it; a file that was there before says nothing more."""
    import_ids(importer, tmp_path, T0, [1, 3], holes=1)
    assert not is_complete(importer)
    import_ids(importer, tmp_path, T0 + SECOND_NS, [2, 4])
    missing = ("agg_ids", 2, 2, "not_in_file")
    assert gaps(importer) == [(*missing, "open"), (*missing, "filled")]
    assert is_complete(importer)
    entries = contents(importer.cold.read(0, importer.cold.refresh().last_seq))
    late, filled_gap = entries[AGG_TRADE][2], entries[GAP][1]
    assert (filled_gap["seq"], filled_gap["recv_ns"]) == (late["seq"] + 1, late["recv_ns"])
    before = importer.cold.catalogue
    import_ids(importer, tmp_path, T0 + SECOND_NS, [2, 4])
    assert importer.cold.refresh() == before


def test_a_gap_is_closed_by_the_last_of_its_trades_alone(importer: Importer, tmp_path: Path) -> None:
    """Whichever files brought the others; another gap beside it stays open."""
    import_ids(importer, tmp_path, T0, [1, 5, 8], holes=2)
    for second, agg_ids in enumerate(([3, 9], [4, 10], [2, 6, 11])):
        assert not any(gap[-1] == "filled" for gap in gaps(importer))
        import_ids(importer, tmp_path, T0 + (second + 1) * MINUTE_NS, agg_ids)
    assert gaps(importer)[2:] == [("agg_ids", 2, 4, "not_in_file", "filled")]
    assert not is_complete(importer)
    import_ids(importer, tmp_path, T0 + 5 * MINUTE_NS, [7, 6, 7])
    assert gaps(importer)[3:] == [("agg_ids", 6, 7, "not_in_file", "filled")]
    assert is_complete(importer)


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_clock_that_steps_back_does_so_between_files_too(tmp_path: Path, cut: int) -> None:
    """By a millisecond, over a minute's end: the log is that of the undivided file."""
    at = [58_999, 59_998, 60_001, 60_000, 59_999, 60_003]
    lines = [(T0 + ms * MS, a_trade(1 + i, at_ns=T0).data) for i, ms in enumerate(at)]
    entries = []
    for name, parts in (("whole", [lines]), ("cut", [lines[:cut], lines[cut:]])):
        importer = Importer(ColdLog(tmp_path / name, EVENTS), ManualClock(NOW))
        for part in parts:
            append_recording(importer, a_recording(tmp_path / "r", part))
        entries.append(contents(importer.cold.read(0, importer.cold.refresh().last_seq)))
        importer.close()
    assert entries[0] == entries[1]
