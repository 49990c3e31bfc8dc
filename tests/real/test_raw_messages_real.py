"""A real recording through the archive and out again as NDJSON: the venue's own bytes."""

import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.log.app import app


@pytest.mark.parametrize(("day", "count"), [("2021-04-04", 2_126), ("2024-08-08", 13_208)])
def test_every_message_of_a_recording_comes_back_to_the_byte(
    real_data: Path, tmp_path: Path, day: str, count: int
) -> None:
    """Imported into Parquet and exported: each trade and update is one of the messages that were recorded."""
    recording = real_data / "recordings" / f"btcusdt-spot-{day}.gz"
    where = ["--market", "binance:BTCUSDT", "--storage", str(tmp_path)]
    out = tmp_path / "raw.ndjson"
    assert CliRunner().invoke(app, ["import", "recording", str(recording), *where]).exit_code == 0
    done = CliRunner().invoke(app, ["export", "-o", str(out), "--kind", "raw_ndjson", *where])
    assert done.exit_code == 0, done.output
    with gzip.open(recording) as file:
        sent = {message_of(line.strip()) for line in file}
    found = [message_of(line) for line in out.read_bytes().splitlines()]
    assert len(found) == count
    assert not set(found) - sent


def message_of(line: bytes) -> bytes:
    """What stands in a wrapper's `data`."""
    return line.partition(b'"data":')[2][:-1]
