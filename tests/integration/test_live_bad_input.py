"""
Bad input to the running collector: quarantined and counted, and the recording goes on.
"""

import json
from pathlib import Path

from tests.fakes.venue import Venue, running
from tests.integration.daemons import Stage, wait_for


def a_row(agg_id: int, now_ms: int, price: str = "100.00") -> dict[str, object]:
    """A trade as REST writes it."""
    return {"a": agg_id, "p": price, "q": "0.5", "f": agg_id, "l": agg_id, "T": now_ms, "m": True, "M": True}


def an_event(agg_id: int, now_ms: int, **more: object) -> bytes:
    """The same as the stream writes it."""
    fields = {"e": "aggTrade", "E": now_ms, "s": "BTCFDUSD", **a_row(agg_id, now_ms), **more}
    return json.dumps({"stream": "btcfdusd@aggTrade", "data": fields}, separators=(",", ":")).encode()


def recorded(venue: Venue, folder: Path, quarantined: int) -> dict[str, object]:
    """Run the collector until it has quarantined so much, and prove its log."""
    stage = Stage(folder, interval_s=2)
    with running(venue) as address:
        stage.rest_url, stage.websocket_url = f"http://{address}", f"ws://{address}"
        try:
            collector = stage.collector()
            wait_for(lambda: stage.status().get("counts", {}).get("quarantine", 0) >= quarantined, 30, 0.3)
            wait_for(lambda: stage.status()["trades"] == "live", 30, 0.3)
            assert collector.interrupt() == 0, collector.text()
            return stage.check(1)
        finally:
            stage.end()


def test_messages_nobody_can_read_are_quarantined_and_close_their_ids(tmp_path: Path) -> None:
    """A bad price, a trade from 2030, junk, an unknown event; REST has one of them sound, and closes the other's id."""

    def rows(now_ms: int) -> list[dict[str, object]]:
        return [a_row(agg_id, now_ms, price="1e5" if agg_id == 4 else "100.00") for agg_id in range(1, 7)]

    def messages(now_ms: int) -> list[bytes]:
        return [
            an_event(3, now_ms),
            an_event(4, now_ms, p="1e5"),
            an_event(5, now_ms, T=1_900_000_000_000),
            b"\xff\xfe not even text",
            b'{"stream":"btcfdusd@kline_1m","data":{"e":"kline"}}',
            an_event(6, now_ms),
        ]

    report = recorded(Venue(rows, messages), tmp_path, 5)
    assert report["reasons"] == ["trades nobody could read, agg ids: 1: 4"], report
    assert report["trades"] == 5
    assert report["kinds"]["quarantine"] == 5  # type: ignore[index]
    assert (report["first_agg_id"], report["last_agg_id"]) == (1, 6)


def test_rest_that_answers_nonsense_is_quarantined_or_asked_again(tmp_path: Path) -> None:
    """A crossed book is quarantined at every tick; a row with nine decimals closes its id; the rest is recorded."""

    def rows(now_ms: int) -> list[dict[str, object]]:
        return [a_row(agg_id, now_ms, price="1.123456789" if agg_id == 2 else "100.00") for agg_id in (1, 2, 3)]

    venue = Venue(rows, lambda now_ms: [an_event(4, now_ms)])
    venue.bodies["depth"] = b'{"lastUpdateId":1,"bids":[["101","1"]],"asks":[["100","1"]]}'
    report = recorded(venue, tmp_path, 3)
    assert report["closed_agg_ids"] == [2], report
    assert {gap["what"] for gap in report["given_up_gaps"]} <= {"snapshot"}  # type: ignore[attr-defined]
    assert report["trades"] == 3
    assert "snapshot" not in report["kinds"]  # type: ignore[operator]
