"""What becomes of a wall between two books: consumed, moved, pulled, breached, or still standing and tested."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from analysis.book.book_side import Side
from analysis.book.book_window import BookWindow
from analysis.book.wall_life import EndedWall, TradesBetween, WallLife, WallLives
from analysis.book.walls import WallFinder
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.book.snapshot_window import Snapshot
from projections.trades.trade_columns import Trades
from tests.market_builders import T0, a_snapshot, e8
from tests.trade_builders import some_trades

RULES = Parameters()
WALL = 99_960
"""Where the bid wall of 40 stands, forty bins of one below the touch; its mirror image among the asks is 100039."""


def a_book(minute: int, wall: Mapping[int, float] | None, side: Side = "bid", bins: int = 900,
           limit: int = 5000) -> Snapshot:  # fmt: skip
    """Ones from 99999.5 down and from 100000.5 up; on one side other quantities at some prices, by lower bin edge."""
    levels = dict(wall or {})
    bids = [(99_999.5 - i, levels.get(99_999 - i, 1) if side == "bid" else 1) for i in range(bins)]
    asks = [(100_000.5 + i, levels.get(100_000 + i, 1) if side == "ask" else 1) for i in range(bins)]
    return a_snapshot(bids, asks, minute, seq=minute + 1, limit=limit)


Traded = Sequence[tuple[float, float, str]]


def a_minute(*trades: tuple[float, float, str]) -> Traded:
    """A minute of trades: price, quantity, and who was the aggressor."""
    return trades


def trades_of(minutes: Mapping[int, Traded]) -> TradesBetween:
    """The trades of some minutes after T0, nothing in the others."""
    rows = [(minute * 60 + i, *trade) for minute in sorted(minutes) for i, trade in enumerate(minutes[minute])]
    columns = [list(c) for c in zip(*rows, strict=True)] or [[], [], [], []]
    signs = [1 if by == "buy" else -1 for by in columns[3]]
    return some_trades(columns[1], columns[0], columns[2], signs).between if rows else Trades.empty().between


def lives() -> WallLives:
    """A follower of its own."""
    books = BookWindow(RULES)
    return WallLives(books, WallFinder(RULES, books), RULES)


def endings(
    books: Sequence[Snapshot], minutes: Mapping[int, Traded] | None = None
) -> list[tuple[str, int, str, int, int | None]]:
    """Side, bin, ending, minute and new place of the walls that ended."""
    ended_walls: list[EndedWall] = lives().find_ended_walls(books, ONE_E8, trades_of(minutes or {}))
    return [
        (e.side, e.price_e8 // ONE_E8, e.ending, (e.minute_ns - T0) // MINUTE_NS,
         None if e.moved_to_e8 is None else e.moved_to_e8 // ONE_E8)
        for e in ended_walls
    ]  # fmt: skip


STANDING = [a_book(m, {WALL: 40}) for m in range(5)]


@pytest.mark.parametrize(
    ("after", "traded", "ending", "moved_to"),
    [
        ({WALL: 1}, [], "pulled", None),
        ({WALL: 19}, [], "pulled", None),
        ({WALL: 1}, [(WALL + 0.5, 19, "sell")], "pulled", None),
        ({WALL: 1}, [(WALL + 0.5, 20, "sell")], "filled", None),
        ({WALL: 1}, [(WALL + 0.5, 39, "sell"), (WALL - 0.01, 1, "sell")], "breached", None),
        ({WALL: 1}, [(WALL + 0.5, 39, "buy")], "pulled", None),
        ({WALL: 1}, [(WALL + 1.0, 39, "sell")], "pulled", None),
        ({WALL: 1, WALL - 3: 40}, [], "moved", WALL - 3),
        ({WALL: 1, WALL + 1: 33}, [], "moved", WALL + 1),
        ({WALL: 1, WALL + 1: 31}, [], "pulled", None),
        ({WALL: 1, WALL + 1: 49}, [], "pulled", None),
        ({WALL: 1, WALL - 4: 40}, [], "pulled", None),
        ({WALL: 1, WALL + 2: 40}, [(WALL + 0.5, 30, "sell")], "filled", None),
    ],
)
def test_how_a_wall_ends(after: Any, traded: Any, ending: str, moved_to: int | None) -> None:
    """
    Gone is less than half. Filled where sells at its own prices explain half of the drop or more, breached where one
    went below it too; else moved where 32 to 48 reappear within three bins; else pulled.
    """
    minutes = {4: a_minute(*traded)} if traded else {}
    result = endings([*STANDING, a_book(5, after)], minutes)
    assert result == [("bid", WALL, ending, 5, moved_to)]


@pytest.mark.parametrize("left", [40, 41, 20])
def test_half_of_it_still_stands(left: float) -> None:
    """A wall of which half or more is displayed has not ended, whatever was traded."""
    assert endings([*STANDING, a_book(5, {WALL: left})], {4: a_minute((WALL + 0.5, 30, "sell"))}) == []


def test_an_ask_wall_is_eaten_by_buys() -> None:
    """The mirror image: buys at the wall fill it, one above it breaches it, sells do nothing to it."""
    books = [a_book(m, {100_039: 40}, "ask") for m in range(5)] + [a_book(5, None)]
    shown = {"filled": (39.5, 39, "buy"), "breached": (40.0, 1, "buy"), "pulled": (39.5, 39, "sell")}
    for ending, (away, quantity, by) in shown.items():
        trades = [(100_000 + away, quantity, by)] + ([(100_039.5, 30, "buy")] if ending == "breached" else [])
        assert endings(books, {4: a_minute(*trades)}) == [("ask", 100_039, ending, 5, None)]


def test_a_size_that_stood_there_before_has_not_moved_there() -> None:
    """A second wall of the same size two bins away is no new place of the first."""
    books = [a_book(m, {WALL: 40, WALL - 2: 40}) for m in range(5)] + [a_book(5, {WALL - 2: 40})]
    assert endings(books) == [("bid", WALL, "pulled", 5, None)]


def test_a_wall_shows_itself_first() -> None:
    """What stood out in fewer than three of the five books before it went was forming, no wall, and did not end."""
    for shown, ended_walls in ({2: 0, 3: 1}).items():
        books = [a_book(m, {WALL: 40} if m >= 5 - shown else None) for m in range(5)] + [a_book(5, None)]
        assert len(endings(books)) == ended_walls


def test_the_first_five_books_end_nothing() -> None:
    """A wall that went before the window's sixth book is not counted: who stood in it is not known yet."""
    assert endings([*STANDING[:4], a_book(4, None), a_book(5, None)]) == []


def test_trades_of_another_minute_do_not_count() -> None:
    """Only trades from the minute of the one book up to that of the next explain a drop between them."""
    for minute, ending in ({3: "pulled", 4: "filled", 5: "pulled"}).items():
        minutes = {minute: a_minute((WALL + 0.5, 39, "sell"))}
        assert [e[2] for e in endings([*STANDING, a_book(5, None)], minutes)] == [ending]


def test_only_trades_at_its_own_prices_eat_a_wall() -> None:
    """Thirty-nine sold eight dollars beside a wall explain nothing, even where another trade touched it."""
    beside = a_minute((WALL + 8.5, 39, "sell"), (WALL + 0.5, 0.1, "sell"))
    assert [e[2] for e in endings([*STANDING, a_book(5, None)], {4: beside})] == ["pulled"]


def test_a_missing_book_joins_its_minutes() -> None:
    """With no book for two minutes the trades of all three between explain the drop together."""
    minutes = {m: a_minute((WALL + 0.5, 10, "sell")) for m in (4, 5, 6)}
    assert endings([*STANDING, a_book(7, None)], minutes) == [("bid", WALL, "filled", 7, None)]
    assert endings([*STANDING, a_book(7, None)], {4: minutes[4]}) == [("bid", WALL, "pulled", 7, None)]


def test_not_seen_is_not_absent() -> None:
    """A wall past the last level of a book that was cut off is not pulled; past that of a complete book it is."""
    cut = [*STANDING, a_book(5, None, bins=30, limit=30)]
    books = [*STANDING, a_book(5, None, bins=30, limit=31)]
    assert endings(cut) == []
    assert endings(books) == [("bid", WALL, "pulled", 5, None)]


def test_a_book_without_a_side_ends_nothing() -> None:
    """Where a side of the next book is empty nothing is known of either."""
    one_sided = a_snapshot([(99_999.5, 1)], [], 5, seq=6)
    assert endings([*STANDING, one_sided]) == []


def test_every_ending_is_listed_oldest_first() -> None:
    """Two walls that go in different minutes are two endings in order of time."""
    books = [a_book(m, {WALL: 40 if m < 6 else 1, WALL - 50: 60 if m < 7 else 1}) for m in range(8)]
    assert [(price, minute) for _, price, _, minute, _ in endings(books)] == [(WALL, 6), (WALL - 50, 7)]


def life(books: Sequence[Snapshot], minutes: Mapping[int, Traded], standing: int) -> WallLife:
    """The life of the wall at WALL."""
    result = lives().find_lives(books, ONE_E8, trades_of(minutes), "bid", {e8(WALL): standing})
    return result[e8(WALL)]


def test_held_tested_absorbing() -> None:
    """Untouched it holds; touched since it stands it is tested; a tenth of it traded in the last minute is absorbed."""
    assert life(STANDING, {}, 5) == WallLife("held", 0, None)
    touch = a_minute((WALL + 0.99, 0.5, "buy"))
    assert life(STANDING, {1: touch}, 5) == WallLife("tested", 0, None)
    assert life(STANDING, {3: a_minute((WALL + 0.5, 4, "sell"))}, 5) == WallLife("absorbing", 4 * ONE_E8, 1.0)
    assert life(STANDING, {3: a_minute((WALL + 0.5, 3.9, "sell"))}, 5).state == "tested"
    assert life(STANDING, {2: a_minute((WALL + 0.5, 30, "sell"))}, 5).state == "tested"


def test_refilled_by_hand() -> None:
    """From 40 to 30 while 20 were sold: (−10 + 20) / 20, half was put back."""
    books = [*STANDING[:4], a_book(4, {WALL: 30})]
    assert life(books, {3: a_minute((WALL + 0.5, 20, "sell"))}, 5) == WallLife("absorbing", 20 * ONE_E8, 0.5)


def test_a_life_begins_where_the_wall_does() -> None:
    """What was traded before it stood without a break is not its own."""
    minutes = {m: a_minute((WALL + 0.5, 1, "sell")) for m in range(4)}
    assert [life(STANDING, minutes, n).absorbed_e8 // ONE_E8 for n in (1, 2, 3, 5)] == [0, 1, 2, 4]


def test_what_is_remembered_changes_nothing() -> None:
    """One follower over a moving window, a minute changed by a late trade in between: as a fresh one each time."""
    chance = np.random.default_rng(11)
    books = [a_book(m, {WALL + 7 * int(k): 40 for k in chance.choice(5, 3, False)}) for m in range(40)]
    minutes = {m: a_minute((WALL + 7 * int(chance.integers(0, 5)) + 0.5, 25, "sell")) for m in range(40)}
    reused = lives()
    for end in range(6, 41):
        if end % 3 == 0:
            minutes[end - 3] = a_minute((WALL + 0.5, 35, "sell"), (WALL + 7.5, 35, "sell"))
        window = books[max(0, end - 12) : end]
        reused.prune(window)
        assert reused.find_ended_walls(window, ONE_E8, trades_of(minutes)) == lives().find_ended_walls(
            window, ONE_E8, trades_of(minutes)
        )
        standing = {e8(WALL): 3, e8(WALL + 7): 2}
        assert reused.find_lives(window, ONE_E8, trades_of(minutes), "bid", standing) == lives().find_lives(
            window, ONE_E8, trades_of(minutes), "bid", standing
        )
