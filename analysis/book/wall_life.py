"""
What becomes of walls between two books: consumed by trades, moved, pulled, or standing (docs/measures.md §2).

Read from the window of snapshots and the trades between them alone. A wall that goes and comes back within a minute is
not seen, and that a wall was pulled is always inferred, never observed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from analysis.book.book_side import SIDES, BookSide, Side
from analysis.book.book_window import BookWindow
from analysis.book.walls import WallBin, WallFinder
from analysis.parameters import Parameters
from projections.book.snapshot_window import Snapshot
from projections.trades.trade_columns import Trades

State = Literal["held", "tested", "absorbing"]
Ending = Literal["filled", "breached", "moved", "pulled"]
ENDINGS: tuple[Ending, ...] = ("filled", "breached", "moved", "pulled")

_GONE_BELOW = 0.5  # a wall has ended when less than half of it is displayed
_SAME_SIZE = 0.2  # relative difference of two sizes that count as the same
_MOVED_BINS = 3  # bins within which a wall of the same size counts as moved
_ABSORBING_FROM = 0.1  # of its size traded in the last minute

TradesBetween = Callable[[int, int], Trades]
"""The trades from one time up to another, ns."""


class BinChange(msgspec.Struct, frozen=True):
    """
    The change of one bin from a book to the next.

    Attributes:
        before_e8, after_e8: displayed quantity. traded_e8: by aggressors at the bin's prices in between.
        touched: a trade was in the bin or beyond. through: a trade was beyond.
        moved_to_e8: the bin where the same size appeared, None where it did not.
    """

    before_e8: int
    after_e8: int
    traded_e8: int
    touched: bool
    through: bool
    moved_to_e8: int | None

    @property
    def ending(self) -> Ending | None:
        """How a wall in this bin ended; None where at least half of it still stands."""
        if self.after_e8 >= _GONE_BELOW * self.before_e8:
            return None
        if 2 * self.traded_e8 >= self.before_e8 - self.after_e8:
            return "breached" if self.through else "filled"
        return "pulled" if self.moved_to_e8 is None else "moved"


class WallLife(msgspec.Struct, frozen=True):
    """
    A standing wall's life so far.

    Attributes:
        absorbed_e8: quantity traded at its prices while it has stood.
        refill_share: the part of that which was put back, (change displayed + traded) / traded; None without trades.
    """

    state: State
    absorbed_e8: int
    refill_share: float | None


class EndedWall(msgspec.Struct, frozen=True):
    """
    A wall that ended inside the window.

    Attributes:
        share: of the corridor, when last seen. minute_ns: of the first book without it.
        moved_to_e8: lower edge of the bin that it moved to, None for any other ending.
    """

    side: Side
    price_e8: int
    share: float
    ending: Ending
    minute_ns: int
    moved_to_e8: int | None


class WallLives:
    """Follows walls through a window of snapshots; the changes between two books are computed once."""

    def __init__(self, books: BookWindow, finder: WallFinder, parameters: Parameters) -> None:
        self._books = books
        self._finder = finder
        self._parameters = parameters
        self._changes: dict[tuple[int, int, int], tuple[int, dict[tuple[Side, int], BinChange]]] = {}

    def find_lives(self, snapshots: Sequence[Snapshot], width_e8: int, trades_between: TradesBetween, side: Side,
              standing: Mapping[int, int]) -> dict[int, WallLife]:  # fmt: skip
        """
        The lives of the walls that stand in the last snapshot.

        Args:
            snapshots: the window, oldest first.
            width_e8: width of a bin, 1e-8 quote.
            trades_between: gives the trades of a span of time.
            side: bid or ask.
            standing: by price of the bin, the number of last snapshots in which the wall stands without a break.
        """
        longest = max(standing.values(), default=0)
        first = len(snapshots) - longest
        steps = [self._between(snapshots[i - 1], snapshots[i], width_e8, trades_between)
                 for i in range(max(1, first + 1), len(snapshots))]  # fmt: skip
        return {
            price: _life([s[side, price] for s in steps[len(steps) - count + 1 :] if (side, price) in s])
            for price, count in standing.items()
        }

    def find_ended_walls(
        self, snapshots: Sequence[Snapshot], width_e8: int, trades_between: TradesBetween
    ) -> list[EndedWall]:
        """
        The walls that ended in the window, oldest first; not before its sixth book, since a wall is confirmed in five.

        Args:
            snapshots: the window, oldest first.
            width_e8: width of a bin, 1e-8 quote.
            trades_between: gives the trades of a span of time.
        """
        ended_walls = []
        bins = {side: self._finder.find_bins(snapshots, side, width_e8) for side in SIDES}
        for i in range(self._parameters.wall_of_last, len(snapshots)):
            step = self._between(snapshots[i - 1], snapshots[i], width_e8, trades_between)
            for side in SIDES:
                recent = bins[side][i - self._parameters.wall_of_last : i]
                for price, wall in recent[-1].items():
                    change = step.get((side, price))
                    ending = None if change is None else change.ending
                    if change is None or ending is None:
                        continue
                    if sum(price in b for b in recent) >= self._parameters.wall_seen:
                        minute = snapshots[i].minute_ns
                        moved_to = change.moved_to_e8 if ending == "moved" else None
                        ended_walls.append(EndedWall(side, price, wall.share, ending, minute, moved_to))
        return ended_walls

    def prune(self, snapshots: Sequence[Snapshot]) -> None:
        """Drop changes between snapshots that have left the window."""
        if len(self._changes) > 2 * len(snapshots) + 16:
            present = {s.seq for s in snapshots}
            self._changes = {k: v for k, v in self._changes.items() if k[1] in present}

    def _between(
        self, before: Snapshot, after: Snapshot, width_e8: int, trades_between: TradesBetween
    ) -> dict[tuple[Side, int], BinChange]:
        trades = trades_between(before.request_ns, after.request_ns)
        entry = self._changes.get((before.seq, after.seq, width_e8))
        if entry is not None and entry[0] == len(trades):  # a late trade makes one more
            return entry[1]
        changes: dict[tuple[Side, int], BinChange] = {}
        for side, later in self._books.sides(after, width_e8).items():
            walls = self._finder.find_bins([before], side, width_e8)[0]
            new = self._finder.find_bins([after], side, width_e8)[0]
            for price, wall in walls.items():
                if later.index(price) < len(later.quantity_e8) or _complete(after, side):  # not seen is not absent
                    changes[side, price] = _change(later, price, wall, new, walls, trades)
        self._changes[before.seq, after.seq, width_e8] = (len(trades), changes)
        return changes


def _complete(snapshot: Snapshot, side: Side) -> bool:
    prices = snapshot.bid_price_e8 if side == "bid" else snapshot.ask_price_e8
    return len(prices) < snapshot.limit


def _change(later: BookSide, price: int, wall: WallBin, new: Mapping[int, WallBin], old: Mapping[int, WallBin],
            trades: Trades) -> BinChange:  # fmt: skip
    side, width = later.side, later.width_e8
    after = later.quantity_at(later.index(price))
    low, high = (int(trades.price_e8.min()), int(trades.price_e8.max())) if len(trades) else (2**62, -1)
    if side == "bid":
        touched, through = low < price + width, low < price
    else:
        touched, through = high >= price, high >= price + width
    inside = (trades.price_e8 >= price) & (trades.price_e8 < price + width)
    volume = int(trades.quantity_e8[inside & (trades.sign == (-1 if side == "bid" else 1))].sum()) if touched else 0
    moved_to = None
    for step in range(1, _MOVED_BINS + 1):
        for other in (price - step * width, price + step * width):
            size = new[other].quantity_e8 if other in new and other not in old else 0
            if moved_to is None and abs(size - wall.quantity_e8) <= _SAME_SIZE * wall.quantity_e8:
                moved_to = other
    return BinChange(wall.quantity_e8, after, volume, touched, through, moved_to)


def _life(changes: Sequence[BinChange]) -> WallLife:
    absorbed_e8 = sum(c.traded_e8 for c in changes)
    growth_e8 = sum(c.after_e8 - c.before_e8 for c in changes)
    refill_share = round((growth_e8 + absorbed_e8) / absorbed_e8, 4) if absorbed_e8 else None
    state: State = "tested" if any(c.touched for c in changes) else "held"
    if changes and changes[-1].traded_e8 >= _ABSORBING_FROM * changes[-1].before_e8 > 0:
        state = "absorbing"
    return WallLife(state, absorbed_e8, refill_share)
