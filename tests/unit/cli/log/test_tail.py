"""`python -m eventlog tail`: one visible line an entry, whatever it holds, and everything of it as JSON."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from cli.log.app import app
from eventlog.facts.entry import Fact
from tests.builders import (
    T0,
    a_cold_log,
    a_quarantine,
    a_snapshot,
    a_tick,
    a_trade,
    an_instrument,
    one_of_each_market_kind,
)

HOSTILE = b"\x1b[2J\x1b]0;owned\x07line\nnext\r\x9b31m \xe2\x80\xae\xd7\x90 \xff\x00 \\xff"


def tail(storage: Path, *words: object) -> Result:
    """The command, on the usual market."""
    where = ["--market", "binance:BTCFDUSD", "--storage", str(storage)]
    return CliRunner().invoke(app, ["tail", *(str(w) for w in words), *where])


def records(storage: Path, *facts: Fact) -> list[dict[str, Any]]:
    """What `tail --json` prints of a log."""
    a_cold_log(storage, facts)
    result = tail(storage, "-n", 1000, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_json_object_a_line_for_every_kind(tmp_path: Path) -> None:
    """In order of seq; each says its kind and when it came."""
    rows = records(tmp_path, *one_of_each_market_kind())
    assert [row["seq"] for row in rows] == list(range(1, 17))
    assert [row["kind"] for row in rows[:4]] == ["session", "instrument", "snapshot", "agg_trade"]
    assert all({"seq", "kind", "recv", "recv_ns"} <= row.keys() for row in rows)
    assert len(tail(tmp_path, "-n", 3, "--json").stdout.splitlines()) == 3


def test_json_has_decimals_as_text_and_times_twice(tmp_path: Path) -> None:
    """Nulls stay null, lists are lists, spans of time are numbers alone."""
    book = a_snapshot([("99.5", "2"), ("99", "0.00000001")], [])
    trade, snapshot, tick = records(tmp_path, a_trade(7, "100.25", "0.5", T0 + 1_000_000), book, a_tick())
    assert (trade["price"], trade["quantity"], trade["agg_id"]) == ("100.25", "0.5", 7)
    assert (trade["trade_time"], trade["trade_time_ns"]) == ("2024-01-01T00:00:00.001000000Z", T0 + 1_000_000)
    assert (snapshot["bid_price"], snapshot["bid_quantity"]) == (["99.5", "99"], ["2", "0.00000001"])
    assert snapshot["ask_price"] == []
    assert (tick["last_trade_recv"], tick["last_trade_recv_ns"], tick["snapshot_seq"]) == (None, None, None)
    assert (tick["interval_ns"], "interval" in tick) == (60 * 10**9, False)


def test_json_cuts_nothing(tmp_path: Path) -> None:
    """A book of thousands of levels, and text of thousands of letters."""
    levels = [(str(5000 - i), "1") for i in range(4000)]
    book, bad = records(tmp_path, a_snapshot(levels, []), a_quarantine(b"x" * 5000))
    assert book["bid_price"] == [price for price, _ in levels]
    assert bad["data"] == "x" * 5000


def test_quantities_of_a_market_with_few_decimals(tmp_path: Path) -> None:
    """A coin counted in trillions keeps whole coins; the log says so itself."""
    instrument = an_instrument(tick="0.00000001", step="1.00", largest="92141578736.00")
    a_cold_log(tmp_path, [instrument])
    whole_coins = a_trade(1, "0.00001", "0.00000005")  # the builder's mapper counts 1e-8; the log's unit is one coin
    a_cold_log(tmp_path, [whole_coins])
    lines = tail(tmp_path, "-n", 1, "--json").stdout
    assert json.loads(lines)["quantity"] == "5"
    assert "quantity=5 " in tail(tmp_path, "-n", 1).stdout


def test_hostile_bytes_stay_one_visible_line(tmp_path: Path) -> None:
    """Escape sequences, line ends, a change of the direction of writing: seen, never obeyed."""
    (row,) = records(tmp_path, a_quarantine(HOSTILE))
    assert b64decode(row["data_base64"]) == HOSTILE
    for words in (("--json",), ()):
        output = tail(tmp_path, *words).output
        assert len(output.splitlines()) == 1
        assert output.endswith("\n")
        assert output[:-1].isprintable()
    assert "\\u001b[2J" in tail(tmp_path, "--json").output
    assert "\\x1b[2J" in tail(tmp_path).output


def test_a_long_value_is_cut_visibly(tmp_path: Path) -> None:
    """A person sees that there is more."""
    a_cold_log(tmp_path, [a_quarantine(b"y" * 500)])
    assert f"data={'y' * 59}…" in tail(tmp_path).output
