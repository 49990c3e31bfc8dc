"""Where a log stands, in the stream and in the archive: what a new run must know before it goes on."""

from pathlib import Path
from typing import Any

import pytest

from collector.sequencing.log_tail import read_tail
from eventlog.errors import LogBroken
from eventlog.store.archiver import Archiver
from tests.builders import EVENTS, a_diff, a_hot_log, a_snapshot, a_tick, a_trade, a_writer


def test_the_newest_diff_is_found_wherever_it_lies(tmp_path: Path, client: Any) -> None:
    """In the stream, in the archive behind segments without diffs, and None in a log that has none."""
    writer, log = a_writer(tmp_path, client), a_hot_log(tmp_path, client)
    writer.append([a_trade(1)])
    assert read_tail(log).last_update_id is None
    writer.append([a_diff(5, 9), a_diff(10, 12), a_snapshot(), a_tick()])
    assert read_tail(log).last_update_id == 12
    archiver = Archiver(log, writer, keep_entries=1)
    archiver.archive()
    writer.append([a_trade(2), a_trade(3)])
    archiver.archive()
    assert (read_tail(log).last_update_id, read_tail(log).next_agg_id) == (12, 4)
    writer.append([a_diff(13, 20)])
    assert read_tail(log).last_update_id == 20
    writer.close()


@pytest.mark.parametrize("lacking", [1, 4, 9])
def test_an_entry_that_the_server_lost_within_the_stream_is_missed(tmp_path: Path, client: Any, lacking: int) -> None:
    """A flipped bit of its append-only file may put an entry into another stream: no reader passes over that."""
    writer, log = a_writer(tmp_path, client), a_hot_log(tmp_path, client)
    writer.append([a_trade(id) for id in range(1, 11)])
    writer.close()
    assert [batch.last_seq for batch in log.read()] == [10]
    assert client.xdel(EVENTS.key, f"{lacking}-0") == 1
    with pytest.raises(LogBroken, match=f"seq {lacking} is "):
        list(log.read())
    with pytest.raises(LogBroken, match=f"seq {lacking} is "):
        list(log.read(after_seq=lacking - 1))
    assert [batch.last_seq for batch in log.read(after_seq=lacking)] == [10]
