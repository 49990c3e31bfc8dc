"""What the observer says of the book rebuilt from updates: that some are missing, or that it was wrong."""

from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.view import MarketView
from eventlog.facts.entry import Fact
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.state import MarketState, TickEntry, Windows
from runtime.loop import drive
from tests.builders import T0, a_batch, a_diff, a_snapshot, a_tick, an_instrument

MISSING = "updates of the book are missing: the book rebuilt from them waits for the next snapshot"


def minute(number: int, seconds: float = 0.0) -> int:
    """A moment."""
    return T0 + number * MINUTE_NS + int(seconds * SECOND_NS)


def views(*facts: Fact) -> list[MarketView]:
    """What is seen at each tick."""
    state = MarketState(Windows())
    observer = Observer("BTCFDUSD", state, Parameters())
    results: list[MarketView] = []

    def look(tick: TickEntry, now: MarketState) -> None:
        results.append(observer.observe(tick, now))

    drive([a_batch([an_instrument(), *facts])], state, look)
    return results


def of_the_book(view: MarketView) -> list[str]:
    """The warnings about it."""
    return [w for w in view.warnings if "book" in w]


def test_missing_updates_are_told_until_they_do_not_matter() -> None:
    """In the gap; in the minute in which a snapshot ended it; no longer a minute later."""
    results = views(
        a_snapshot(update_id=10, at_ns=minute(0, 1)),
        a_diff(13, 14, [], [], minute(0, 30)),
        a_tick(minute(1)),
        a_snapshot(update_id=20, at_ns=minute(1, 0.2)),
        a_diff(21, 22, [], [], minute(1, 30)),
        a_diff(24, 25, [], [], minute(1, 40)),
        a_snapshot(update_id=25, at_ns=minute(1, 50)),
        a_diff(26, 26, [("99.4", "2")], [], minute(1, 55)),
        a_tick(minute(2)),
        a_diff(27, 27, [("99.3", "2")], [], minute(2, 55)),
        a_tick(minute(3)),
    )
    assert [of_the_book(view) for view in results] == [
        [MISSING],
        ["updates of the book were missing at 2024-01-01T00:01:40Z: it was rebuilt from a snapshot"],
        [],
    ]
    assert [view.depth["book_now"] is None for view in results] == [True, False, False]


def test_a_book_that_was_wrong_is_told_and_not_shown_until_it_is_right() -> None:
    """Two levels differ at the snapshot of minute 1; that of minute 2 agrees."""
    levels = [("99.5", "7"), ("99", "1")], [("100.5", "2"), ("101", "3"), ("102", "1")]
    results = views(
        a_snapshot(update_id=10, at_ns=minute(0, 1)),
        a_diff(11, 12, [("99", "1")], [], minute(0, 30)),
        a_snapshot(*levels, update_id=12, at_ns=minute(0, 59.5)),
        a_diff(13, 13, [("99", "2")], [], minute(0, 59.8)),
        a_tick(minute(1)),
        a_snapshot([("99.5", "7"), ("99", "2")], levels[1], update_id=13, at_ns=minute(1, 59.5)),
        a_diff(14, 14, [("99", "3")], [], minute(1, 59.8)),
        a_tick(minute(2)),
    )
    assert [of_the_book(view) for view in results] == [
        ["the book rebuilt from updates differed from the exchange's own at 2024-01-01T00:00:59Z: 2 levels"],
        [],
    ]
    assert [view.depth["book_now"] is None for view in results] == [True, False]


def test_a_price_out_of_reach_is_told() -> None:
    """The only bid that was shown is gone, and more were there than were asked for."""
    deletion = a_diff(11, 11, [("99.5", "0"), ("99", "0")], [], minute(0, 2))
    (view,) = views(a_snapshot(update_id=10, limit=2, at_ns=minute(0, 1)), deletion, a_tick(minute(1)))
    assert of_the_book(view) == [
        "the price has left what the last snapshot reached: the book rebuilt from updates is not used"
    ]
