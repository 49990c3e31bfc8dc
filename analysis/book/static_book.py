"""
The static layer: what the newest books show, as the result of the tool `depth_snapshot_analytsis`.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from analysis.book.bands import Band, find_bands, find_side_bands, mean_density, measure_densities
from analysis.book.book_side import SIDES, BookSide, Side
from analysis.book.book_window import BookWindow
from analysis.book.null_book import NullCounts, count_in_null_books
from analysis.book.void_edges import confirm_voids
from analysis.book.voids import LiquidityVoid, cell_edges, find_voids, measure_depths, usual_depths
from analysis.book.wall_life import EndedWall, TradesBetween, WallLife, WallLives
from analysis.book.walls import Wall, WallBin, WallFinder, find_wall_bins
from analysis.evidence import Evidence
from analysis.fitted import pull_features
from analysis.grid import bin_width_e8, bp_between
from analysis.parameters import Parameters
from market.arrays import F64
from market.fixed_point import DECIMALS
from projections.book.snapshot_window import Snapshot

NO_BOOK = "no book was recorded: advice from trades alone"
EMPTY_SIDE = "a side of the newest book is empty: advice from trades alone"
CROSSED = "the newest book is crossed: advice from trades alone"
_STRONG_SHARE = 0.06  # a wall's part of the corridor from which size counts fully in its strength
_STRONG_BAND = 4.0  # a band's density ratio from which its strength is 1
_PERSISTENCE_BOOKS = 15  # the newest books, one a minute, that a wall's persistence is counted in
_NEAR_BP = 10.0  # the plateau at the touch, given as `near_depth`: it is no band


class StandingWall(msgspec.Struct, frozen=True):
    """
    A wall that stands in the newest book, with its life and its prospects.

    Attributes:
        distance_bp: from the mid, negative below. persistence: the part of the last 15 books in which it stood.
        pull_probability: that it is pulled before it is touched, within the hour.
        minutes_to_consume: its quantity over the mean quantity a minute that the last hour traded against its side;
            None without trades.
    """

    id: str
    side: Side
    wall: Wall
    life: WallLife
    distance_bp: float
    persistence: float
    pull_probability: float
    minutes_to_consume: float | None

    @property
    def strength(self) -> float:
        """
        Its share of the corridor over 6 %, at most 1, times persistence times the probability of not being pulled: 0 to
        1.
        """
        share = min(1.0, self.wall.bin.share / _STRONG_SHARE)
        return round(share * self.persistence * (1 - self.pull_probability), 4)


class StaticSide(msgspec.Struct, frozen=True):
    """
    One side of the newest book.

    Attributes:
        outliers, current_bands, thin_cells: number of wall bins, dense runs and thin cells in the newest book alone,
            whether or not they last and are confirmed: what `null` is compared with.
        voids: None where there are too few books to tell.
    """

    book: BookSide
    walls: list[StandingWall]
    outliers: int
    bands: list[Band]
    current_bands: int
    thin_cells: int | None
    voids: list[LiquidityVoid] | None
    null: NullCounts

    @property
    def near_depth_e8(self) -> int:
        """The total quantity within 10 bp of the mid."""
        return int(self.book.quantity_e8[self.book.distance_bp <= _NEAR_BP].sum())


class CurrentBook(msgspec.Struct, frozen=True):
    """The book rebuilt from updates up to the tick: its wall bins and its bands, without any history."""

    sides: Mapping[Side, BookSide]
    outliers: Mapping[Side, list[WallBin]]
    bands: Mapping[Side, list[Band]]


class StaticBook(msgspec.Struct, frozen=True):
    """
    The findings of the static layer at a tick.

    Attributes:
        reason: why there are none, None where there are. snapshots: number of snapshots in the window.
        ended_walls: the walls that ended in the window, oldest first.
        current: the book rebuilt from updates up to the tick, where one is recorded.
    """

    reason: str | None
    snapshots: int = 0
    mid_e8: float = 0.0
    width_e8: int = 0
    sides: Mapping[Side, StaticSide] | None = None
    ended_walls: Sequence[EndedWall] = ()
    current: CurrentBook | None = None


class StaticLayer:
    """Analyses the window of books, tick after tick; results that belong to one book or to two are computed once."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._reset(DECIMALS)

    def _reset(self, decimals: int) -> None:
        """Drop all cached results; quantities have this number of decimals from now on."""
        self._decimals = decimals
        self._books = BookWindow(self._parameters)
        self._finder = WallFinder(self._parameters, self._books, decimals)
        self._lives = WallLives(self._books, self._finder, self._parameters)

    def analyze(
        self,
        snapshots: Sequence[Snapshot],
        trades_between: TradesBetween,
        tick_size_e8: int,
        minute_volume_e8: Mapping[Side, float],
        current: Snapshot | None = None,
        decimals: int = DECIMALS,
    ) -> StaticBook:
        """
        Find walls, bands and voids in the newest book, and the walls that ended in the window.

        Args:
            snapshots: the window, oldest first.
            trades_between: gives the trades of a span of time.
            tick_size_e8: 1e-8 quote.
            minute_volume_e8: mean quantity a minute that consumes each side: sells consume bids, buys consume asks.
            current: the book rebuilt from updates, newer than the last snapshot; None without one.
            decimals: decimals of the market's quantities.

        Returns:
            A `StaticBook` with a reason where there is no book, a side is empty, or the book is crossed.
        """
        if decimals != self._decimals:
            self._reset(decimals)
        newest = snapshots[-1] if snapshots else None
        mid = newest.mid_e8 if newest else None
        if newest is None or mid is None:
            return StaticBook(NO_BOOK if newest is None else EMPTY_SIDE)
        if newest.bid_price_e8[0] >= newest.ask_price_e8[0]:
            return StaticBook(CROSSED)
        width = bin_width_e8(mid, self._parameters.bin_per_price, tick_size_e8)
        self._books.prune(snapshots)
        self._lives.prune(snapshots)
        books = self._books.sides(newest, width)
        cells = {side: cell_edges(mid, width, books[side].reach_bp) for side in SIDES}
        cell_voids = {side: self._find_voids(snapshots, width, side, cells[side]) for side in SIDES}
        usual = {side: cell_voids[side][0] for side in SIDES}
        last_books = self._newest_books(snapshots, width)
        null = count_in_null_books(last_books, cells, usual, newest.last_update_id, self._parameters, decimals)
        sides = {}
        for side in SIDES:
            voids = cell_voids[side][1]
            shifted_cells = cell_edges(mid, width, books[side].reach_bp, shifted=True)
            shifted_voids = self._find_voids(snapshots, width, side, shifted_cells)[1] or []
            lasting, dense_now = self._find_lasting_bands(snapshots, width, side)
            sides[side] = StaticSide(
                book=books[side],
                walls=self._find_standing_walls(snapshots, width, trades_between, side, mid, minute_volume_e8[side]),
                outliers=len(self._finder.find_bins([newest], side, width)[0]),
                bands=lasting,
                current_bands=dense_now,
                thin_cells=None if voids is None else len(voids),
                voids=None if voids is None else self._confirm_voids(snapshots, width, side, voids + shifted_voids),
                null=null[side],
            )
        ended_walls = self._lives.find_ended_walls(snapshots, width, trades_between)
        current_book = None if current is None else self._build_current_book(current, width)
        return StaticBook(None, len(snapshots), mid, width, sides, ended_walls, current_book)

    def _build_current_book(self, current: Snapshot, width: int) -> CurrentBook | None:
        sides = BookWindow(self._parameters).sides(current, width)
        if not sides:
            return None
        outliers = {
            side: find_wall_bins(book, book.mid_e8, self._parameters, self._decimals) for side, book in sides.items()
        }
        return CurrentBook(sides, outliers, find_bands(sides, self._parameters))

    def _measure_densities(self, snapshot: Snapshot, width: int) -> dict[Side, tuple[F64, F64]]:
        sides = self._books.sides(snapshot, width)
        return self._books.get_or_compute(
            "densities", snapshot, width, lambda: measure_densities(sides, self._parameters) if sides else {}
        )

    def _find_lasting_bands(self, snapshots: Sequence[Snapshot], width: int, side: Side) -> tuple[list[Band], int]:
        """
        The newest book's bands where most of the last books were dense too, with their median ratio; and the number of
        all its bands.
        """
        newest = self._books.sides(snapshots[-1], width)[side]
        newest_bands = find_side_bands(newest, *self._measure_densities(snapshots[-1], width)[side], self._parameters)
        last = [
            (b[side], self._measure_densities(s, width)[side][0])
            for s in snapshots[-self._parameters.wall_of_last :]
            if (b := self._books.sides(s, width))
        ]
        lasting = []
        for band in newest_bands:
            dense = [mean_density(band, *book_and_ratio) for book_and_ratio in last]
            if sum(d >= self._parameters.band_hint for d in dense) >= self._parameters.wall_seen:
                lasting.append(msgspec.structs.replace(band, ratio=round(float(np.median(dense)), 2)))
        return lasting, len(newest_bands)

    def _find_standing_walls(
        self,
        snapshots: Sequence[Snapshot],
        width: int,
        trades_between: TradesBetween,
        side: Side,
        mid: float,
        consumption_e8: float,
    ) -> list[StandingWall]:
        walls = self._finder.find_walls(snapshots, side, width)
        bins = self._finder.find_bins(snapshots, side, width)
        prices = [w.bin.price_e8 for w in walls]
        standing = {p: next((i for i, b in enumerate(reversed(bins)) if p not in b), len(bins)) for p in prices}
        lives = self._lives.find_lives(snapshots, width, trades_between, side, standing)
        recent = bins[-_PERSISTENCE_BOOKS:]
        standing_walls = []
        for n, wall in enumerate(walls):
            price = wall.bin.price_e8
            distance = bp_between(wall.heavy_price_e8, mid)
            standing_walls.append(
                StandingWall(
                    id=f"W{side[0]}{n}",
                    side=side,
                    wall=wall,
                    life=lives[price],
                    distance_bp=distance,
                    persistence=round(sum(price in b for b in recent) / len(recent), 4),
                    pull_probability=self._parameters.pull.probability(
                        pull_features(wall.bin.share, distance, wall.age_min)
                    ),
                    minutes_to_consume=round(wall.bin.quantity_e8 / consumption_e8, 2) if consumption_e8 else None,
                )
            )
        return standing_walls

    def _find_voids(
        self, snapshots: Sequence[Snapshot], width: int, side: Side, cells: F64
    ) -> tuple[F64 | None, list[LiquidityVoid] | None]:
        """The usual depth of a side's cells, and the stretches that are thin now."""
        books = [b[side] for s in snapshots if (b := self._books.sides(s, width))]
        history = np.array([measure_depths(b, cells) for b in books]).reshape(len(books), -1)
        earlier = max(0, len(history) - self._parameters.vacuum_of_last)
        usual = usual_depths(history[:earlier], self._parameters)
        return usual, find_voids(books[-1], cells, usual, history[earlier:], self._parameters)

    def _newest_books(self, snapshots: Sequence[Snapshot], width: int) -> list[dict[Side, BookSide]]:
        """The newest books that a void must be seen in."""
        return [b for s in snapshots[-self._parameters.vacuum_of_last :] if (b := self._books.sides(s, width))]

    def _confirm_voids(
        self, snapshots: Sequence[Snapshot], width: int, side: Side, voids: list[LiquidityVoid]
    ) -> list[LiquidityVoid]:
        books = [b[side] for s in snapshots if (b := self._books.sides(s, width))]
        return confirm_voids(voids, books, self._parameters)


def build_book_evidence(static: StaticBook, snapshot: Snapshot | None, parameters: Parameters) -> list[Evidence]:
    """
    Build the evidence that the books give: walls, bands, and the far edges of voids.

    Args:
        static: the findings of a tick.
        snapshot: the newest book; None gives no evidence.
        parameters: `zone_half_width_bp` is the margin around a wall and an edge.
    """
    evidence: list[Evidence] = []
    if static.sides is None or snapshot is None:
        return evidence
    margin = int(static.mid_e8 * parameters.zone_half_width_bp / 1e4)
    for side, static_side in static.sides.items():
        for wall in static_side.walls:
            low = wall.wall.bin.price_e8
            evidence.append(
                Evidence(wall.id, "wall", "static", low - margin, low + static.width_e8 + margin,
                         wall.wall.heavy_price_e8, wall.strength)
            )  # fmt: skip
        for n, band in enumerate(static_side.bands):
            strength = round(min(1.0, band.ratio / _STRONG_BAND), 4)
            evidence.append(
                Evidence(f"B{side[0]}{n}", "band", "static", band.low_e8, band.high_e8 - 1, band.heavy_bin_e8, strength)
            )
        for n, void in enumerate(static_side.voids or ()):
            if not void.censored:
                part = void.quantity_e8 / void.median_e8
                edge = void.far_e8 if side == "ask" else void.far_e8 - static.width_e8
                strength = round(max(0.0, min(1.0, 1 - part)), 4)
                evidence.append(
                    Evidence(f"V{side[0]}{n}", "vacuum_edge", "static", edge - margin, edge + static.width_e8 + margin,
                             edge, strength)
                )  # fmt: skip
    return evidence
