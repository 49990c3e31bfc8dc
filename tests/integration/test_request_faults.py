"""Every fault of the simulated exchange's REST, seen by the real client."""

import asyncio
import json
import time
from typing import Any

import pytest

from eventlog.facts.entry import Entry
from exchanges.errors import BadReply, ExchangeError, Refused, Unreachable
from simulators.exchange.server import SimulatedExchange
from tests.exchange_feed import Feed, run, traded


def on(path: str, fault: str, **more: Any) -> dict[str, Any]:
    """A rule that strikes the first request for a path."""
    return {"when": {"path": path, "nth": 1}, "fault": fault, **more}


@pytest.mark.parametrize(
    ("fault", "more", "error", "said"),
    [
        ("http_5xx", {"status": 500}, BadReply, "answered 500"),
        ("http_5xx", {"status": 503}, BadReply, "answered 503"),
        ("timeout", {}, Unreachable, "does not answer"),
        ("html_body", {}, BadReply, "not as documented"),
        ("empty_body", {}, BadReply, "not as documented"),
        ("cut_json", {}, BadReply, "not as documented"),
        ("truncated_body", {}, Unreachable, "does not answer"),
    ],
)
def test_a_failed_request_is_told_and_the_next_one_answered(
    fault: str, more: dict[str, Any], error: type[ExchangeError], said: str
) -> None:
    """The client says what went wrong with the first request for trades; the second has the trades."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        first = traded(exchange)[0]
        with pytest.raises(error, match=said):
            await feed.rest.trades_from(first)
        assert [row.agg_id for row in await feed.rest.trades_from(first)] == traded(exchange)

    run(check, on("aggTrades", fault, **more), feed={"timeout_s": 0.5})


@pytest.mark.parametrize(("fault", "more"), [("reset", {}), ("timeout", {"seconds": 0.1})])
def test_a_reset_twice_in_a_row_is_told(fault: str, more: dict[str, Any]) -> None:
    """The client's library tries a reset request again by itself; two resets are no answer."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        first = traded(exchange)[0]
        with pytest.raises(Unreachable, match="does not answer"):
            await feed.rest.trades_from(first)
        assert exchange.conditions.script.counts()[0]["struck"] == 2
        assert [row.agg_id for row in await feed.rest.trades_from(first)] == traded(exchange)

    run(check, {"when": {"path": "aggTrades", "until": 2}, "fault": fault, **more})


@pytest.mark.parametrize("fault", ["http_429", "http_418"])
def test_a_refusal_says_when_to_come_back(fault: str) -> None:
    """The client keeps away for a second, then it is answered."""

    async def check(_: SimulatedExchange, feed: Feed) -> None:
        began = time.monotonic()
        with pytest.raises(Refused) as refusal:
            await feed.rest.snapshot(5)
        assert refusal.value.retry_after_s == 1
        await feed.rest.snapshot(5)
        assert time.monotonic() - began >= 1

    run(check, on("depth", fault, retry_after_s=1))


@pytest.mark.parametrize("fault", ["cut_json", "truncated_body", "html_body"])
def test_half_a_book_is_no_book(fault: str) -> None:
    """A depth body that is cut or no depth is an error or quarantine, never a snapshot; the next one is."""

    async def check(_: SimulatedExchange, feed: Feed) -> None:
        try:
            kind = (await feed.venue.snapshot(100)).kind
        except (BadReply, Unreachable):
            kind = "error"
        assert kind == {"cut_json": "quarantine"}.get(fault, "error")
        assert (await feed.venue.snapshot(100)).kind == "snapshot"

    run(check, on("depth", fault))


def test_a_slow_snapshot_is_older_than_the_stream() -> None:
    """What comes after half a second is the book as it was asked for; diffs have gone on meanwhile."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(5)
        asked_at = exchange.hub.diffs.records[-1].last
        asking = asyncio.create_task(feed.venue.snapshot(100))
        await asyncio.sleep(0.2)
        exchange.advance(10)
        snapshot = await asking
        (row,) = feed.venue.mapper.snapshots([Entry(0, snapshot.kind, snapshot.recv_ns, snapshot.data)]).to_pylist()
        assert row["last_update_id"] == asked_at
        assert exchange.hub.diffs.records[-1].last > asked_at

    run(check, on("depth", "slow_answer", seconds=0.5))


def test_stale_trades_lack_the_newest() -> None:
    """The first answers end fifty trades ago, however they are asked for; later ones are complete."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(100)
        truth = traded(exchange)
        assert [row.agg_id for row in await feed.rest.trades_from(truth[0])] == truth[:-50]
        assert [row.agg_id for row in await feed.rest.latest_trades(10)] == truth[-60:-50]
        assert [row.agg_id for row in await feed.rest.trades_from(truth[-50])] == []
        assert [row.agg_id for row in await feed.rest.latest_trades(10)] == truth[-10:]

    run(check, {"when": {"path": "aggTrades", "until": 3}, "fault": "stale_trades", "trades": 50})


def test_truncated_history_begins_later_than_asked() -> None:
    """The first row is twenty ids above the one asked for."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(50)
        truth = traded(exchange)
        assert [row.agg_id for row in await feed.rest.trades_from(truth[0], 10)] == truth[20:30]
        assert [row.agg_id for row in await feed.rest.trades_from(truth[0], 10)] == truth[:10]

    run(check, on("aggTrades", "wrong_from_id", skip=20))


def test_an_empty_page_has_no_rows() -> None:
    """No error, no rows; the next page has them."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        exchange.advance(10)
        truth = traded(exchange)
        assert await feed.rest.trades_from(truth[0]) == []
        assert len(await feed.rest.trades_from(truth[0])) == len(truth)

    run(check, on("aggTrades", "empty_page"))


def test_a_fault_of_trades_spares_books() -> None:
    """A rule without a path counts only the requests that can show its fault."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        await feed.rest.instrument()
        assert (await feed.venue.snapshot(5)).kind == "snapshot"
        assert await feed.rest.latest_trades(1) == []
        assert exchange.conditions.script.counts() == [{"fault": "empty_page", "seen": 1, "struck": 1}]

    run(check, {"fault": "empty_page"})


def test_a_banned_client_is_told_by_status() -> None:
    """exchangeInfo is struck like every path."""

    async def check(_: SimulatedExchange, feed: Feed) -> None:
        with pytest.raises(Refused):
            await feed.rest.instrument()
        assert json.loads((await feed.rest.instrument()).data)["symbol"] == "BTCFDUSD"

    run(check, on("exchangeInfo", "http_418", retry_after_s=1))
