"""`python -m eventlog check --day` in processes of its own: what it writes, prints and exits with."""

import json
import subprocess
from pathlib import Path

import pytest

from eventlog.proof.certificate import certify, path_of, save
from market.timestamps import DAY_NS, MINUTE_NS
from research.views import connect
from runtime.open_log import open_log
from tests.builders import MARKET, T0, a_cold_log, a_gap, a_tick, a_trade
from tests.commands import run_here

DAY = "2024-01-01"


def ran(storage: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The check command, on the usual market."""
    return run_here("eventlog", "check", "--market", MARKET, "--storage", storage, *words)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Three trades of one day, the second missing and still asked for."""
    day = [a_trade(1, at_ns=T0), a_gap(2, 2, at_ns=T0 + MINUTE_NS), a_trade(3, at_ns=T0 + 2 * MINUTE_NS)]
    a_cold_log(tmp_path, [*day, a_tick(T0 + DAY_NS, last_agg_id=3)])
    return tmp_path


def test_a_day_is_certified_and_held_against_its_certificate(storage: Path) -> None:
    """An open gap fails unless it is allowed; then nothing differs, until a file does."""
    failed, allowed = ran(storage, "--day", DAY), ran(storage, "--day", DAY, "--allow-gaps")
    path = storage / "binance" / "BTCFDUSD" / "events" / f"certificate-{DAY}.json"
    written = json.loads(path.read_text())
    assert (failed.returncode, allowed.returncode) == (1, 0)
    assert failed.stdout.splitlines()[0] == f"events:{{binance:BTCFDUSD}} {DAY}: NOT complete"
    assert "  open gaps: 1: agg_ids 2-2 (disconnect)" in failed.stdout.splitlines()
    assert (written["complete"], written["sound"], written["trades"]["agg_ids"]) == (False, True, [[1, 1], [3, 3]])
    same = ran(storage, "--against", str(path))
    assert (same.returncode, same.stdout) == (0, f"{DAY}: as certified, seal {written['seal']}\n")
    trades = next(path.parent.glob("*.agg_trade.parquet"))
    trades.unlink()
    gone = ran(storage, "--day", DAY, "--against", str(path))
    assert gone.returncode == 1
    assert gone.stdout == (
        f"{DAY} 00:00 is the first minute that differs from the certificate: {trades.name} is missing\n"
    )


def test_json_is_the_certificate_and_the_difference(storage: Path) -> None:
    """For programs."""
    printed = json.loads(ran(storage, "--day", DAY, "--json").stdout)
    path = storage / "binance" / "BTCFDUSD" / "events" / f"certificate-{DAY}.json"
    assert printed == json.loads(path.read_text())
    compared = json.loads(ran(storage, "--against", str(path), "--json").stdout)
    assert compared == {"day": DAY, "seal": printed["seal"], "difference": None}


def test_what_cannot_be_meant_is_one_line(storage: Path) -> None:
    """No day, another day's certificate, a certificate somebody changed."""
    ran(storage, "--day", DAY)
    path = storage / "binance" / "BTCFDUSD" / "events" / f"certificate-{DAY}.json"
    told = [ran(storage, "--day", "2024-01-01T01:00:00Z"), ran(storage, "--day", "2024-01-02", "--against", str(path))]
    path.write_text(path.read_text().replace('"sound": true', '"sound": false'))
    told.append(ran(storage, "--against", str(path)))
    assert [each.returncode for each in told] == [1, 1, 1]
    assert [each.stderr.count("\n") for each in told] == [1, 1, 1]
    assert "is not a date; write 2026-01-05" in told[0].stderr
    assert "is of 2024-01-01, not of 2024-01-02" in told[1].stderr
    assert "its seal does not fit" in told[2].stderr


def test_research_sees_what_is_not_proven(storage: Path) -> None:
    """A row a range, from every certificate beside the log; none before there is one."""
    with connect(storage, MARKET) as connection:
        assert connection.execute("select * from unproven").fetchall() == []
    with open_log(storage, MARKET) as log:
        save(certify(log, T0), path_of(log.cold, DAY))
    with connect(storage, MARKET) as connection:
        rows = connection.execute("select * from unproven order by what").fetchall()
    assert rows == [
        (DAY, "depth", T0, T0 + DAY_NS),
        (DAY, "trades", T0, T0 + 2 * MINUTE_NS + 1),
    ]


def test_what_waits_for_the_server_is_told_and_no_day_is_certified_without_it(storage: Path) -> None:
    """The check counts it apart; a certificate could speak of a day that is not whole yet."""
    folder = storage / "binance" / "BTCFDUSD" / "events"
    (folder / "spill.log").write_bytes(b"12345678")
    assert "  waiting  8 bytes on disk, not counted here; the collector stores them" in ran(storage).stdout.splitlines()
    assert json.loads(ran(storage, "--json").stdout)["waiting_bytes"] == 8
    refused = ran(storage, "--day", DAY)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert (
        "8 bytes wait on disk for events:{binance:BTCFDUSD} and may belong to 2024-01-01; certify after"
        in refused.stderr
    )
    position = folder / "spill.position.json"
    position.write_text('{"offset":5,"after_seq":4}')
    assert json.loads(ran(storage, "--json").stdout)["waiting_bytes"] == 3
    position.write_text('{"offset":')
    assert json.loads(ran(storage, "--json").stdout)["waiting_bytes"] == 8
    position.write_text('{"offset":8,"after_seq":4}')
    certified = ran(storage, "--day", DAY, "--allow-gaps")
    assert (certified.returncode, certified.stderr) == (0, "")
