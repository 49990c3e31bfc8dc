"""
One picture of a tick: the books of the last hour, price, profile, walls with their lives, and the advised zones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.recommendation import Advice
from analysis.book.static_book import StandingWall, StaticBook
from market.arrays import F64, I64
from market.fixed_point import ONE_E8, format_e8
from market.timestamps import HOUR_NS, MINUTE_NS, iso
from projections.book.snapshot_window import Snapshot
from projections.trades.trade_columns import Trades

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_ROWS = 260  # of the book's heat map, at most
_PROFILE_ROWS = 120  # of the volume profile, at most
_MIN_TICKS = 3  # of margin above and below, at least
_MARGIN = 0.12  # above and below, as a share of the price range
_FARTHEST_BP = 90.0  # walls farther from the price do not widen the price range
_LABEL_ROOM = 0.035  # of the price axis, a two-line label
_WALL_LABEL_ROOM = 0.016  # of the picture's height: below it labels would cover each other
_PRICE = "#111111"
_COLOUR = {"buy": "#0a8f5b", "sell": "#c8322b"}
# Makes text readable over lines.
_LABEL_BOX = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75}
_LIFE = {"held": "#2b6cb0", "tested": "#d97706", "absorbing": "#7c3aed"}
_ENDING = {"filled": "v", "breached": "X", "moved": ">", "pulled": "x"}


@dataclass(frozen=True, slots=True)
class Scene:
    """
    The content of a picture of one tick.

    Attributes:
        as_of_ns: the tick's boundary. reference_e8: the price then, 1e-8 quote; None without one.
        snapshots: the window of books, oldest first. trades: of the same hour, at least.
        profile: k level prices, rising, and the quantity traded at each, over `profile_minutes`.
        static: the walls of the book, standing and ended.
        quantity_unit: counts in one base coin. tick_size_e8: the step of prices, 1e-8 quote.
        advice: None where none was given. origin: who gave it, or why there is none; a sentence.
        probability_name: what the probability that a zone is rejected is called, see `Logistic.word`.
    """

    symbol: str
    as_of_ns: int
    reference_e8: int | None
    snapshots: Sequence[Snapshot]
    trades: Trades
    profile: tuple[I64, I64]
    profile_minutes: int
    static: StaticBook
    quantity_unit: int
    tick_size_e8: int
    advice: Advice | None
    origin: str
    probability_name: str

    @property
    def is_fallback(self) -> bool:
        """Whether the rules' advice stands in for a model's."""
        return self.advice is not None and self.advice.fallback is not None


def draw(scene: Scene, file: Path) -> None:
    """
    Write the picture; the file's suffix says which format, the same scene gives the same bytes.

    Raises:
        OSError: the file cannot be written.
        ValueError: the suffix is neither .png nor .svg.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if file.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"{file.name} must end in .png or .svg")
    low, high = _span(scene)
    with rc_context({"svg.hashsalt": "picture", "font.size": 9}):
        figure = Figure(figsize=(14, 8.5), layout="constrained")
        FigureCanvasAgg(figure)
        book, side = figure.subplots(1, 2, sharey=True, width_ratios=[5, 1])
        _heat(book, scene, low, high)
        _prices(book, scene)
        _walls(book, scene, low, high)
        _profile(side, scene, low, high)
        for axes in (book, side):
            _zones(axes, scene)
        _orders(book, scene)
        _zone_labels(side, scene, low, high)
        _frame(book, side, scene, low, high)
        metadata: dict[str, Any] = {"Date": None} if file.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(file, dpi=110, metadata=metadata)


def _span(scene: Scene) -> tuple[float, float]:
    """The price range of the picture: trades, advice, walls nearby, and a margin; 0 to 0 without a price."""
    centre = scene.reference_e8 or (scene.snapshots[-1].mid_e8 if scene.snapshots else None)
    if centre is None:
        return 0.0, 0.0
    edges = [float(centre)]
    hour = _hour(scene)
    if len(hour):
        edges += [float(hour.price_e8.min()), float(hour.price_e8.max())]
    for zone in scene.advice.zones if scene.advice else ():
        edges += [zone.low_e8, zone.high_e8]
    edges += [w.wall.bin.price_e8 for w in _standing(scene) if abs(w.distance_bp) <= _FARTHEST_BP]
    low, high = min(edges), max(edges)
    margin = max((high - low) * _MARGIN, centre * 5e-4, _MIN_TICKS * scene.tick_size_e8)
    return max(0.0, low - margin) / ONE_E8, (high + margin) / ONE_E8


def _rows(scene: Scene, low: float, high: float, max_rows: int) -> F64:
    """Edges of rows over the price range, each at least a tick high: nothing lies between two ticks."""
    tick = scene.tick_size_e8 / ONE_E8
    if (high - low) / max_rows >= tick:
        return np.linspace(low, high, max_rows + 1)
    first, last = floor(low / tick), ceil(high / tick)
    return (np.arange(first, last + 2) - 0.5) * tick


def _standing(scene: Scene) -> list[StandingWall]:
    sides = scene.static.sides or {}
    return [wall for side in sides.values() for wall in side.walls]


def _hour(scene: Scene) -> Trades:
    return scene.trades.between(scene.as_of_ns - HOUR_NS, scene.as_of_ns)


def _minutes(scene: Scene, time_ns: Any) -> Any:
    """Minutes before the tick, as negative numbers."""
    return (np.asarray(time_ns) - scene.as_of_ns) / MINUTE_NS


def _heat(axes: "Axes", scene: Scene, low: float, high: float) -> None:
    """Displayed size per price row and minute, by colour on a log scale."""
    edges = _rows(scene, low, high, _ROWS)
    grid = np.full((len(edges) - 1, 60), np.nan)
    for book in scene.snapshots:
        column = 59 - (scene.as_of_ns - book.minute_ns) // MINUTE_NS
        if 0 <= column < 60:
            prices = np.concatenate((book.bid_price_e8, book.ask_price_e8)) / ONE_E8
            sizes = np.concatenate((book.bid_quantity_e8, book.ask_quantity_e8)) / scene.quantity_unit
            grid[:, column] = np.histogram(prices, edges, weights=sizes)[0]
    log_size = np.log10(np.where(grid > 0, grid, np.nan))
    if np.isfinite(log_size).any():
        low_size, high_size = np.nanpercentile(log_size, [20, 99.7]).tolist()
        axes.imshow(log_size, origin="lower", aspect="auto", extent=(-60, 0, edges[0], edges[-1]), cmap="Blues",
                    vmin=low_size, vmax=max(high_size, low_size + 0.1), interpolation="nearest")  # fmt: skip
    else:
        axes.text(0.01, 0.01, "no book on record", ha="left", va="bottom", color="#666666", transform=axes.transAxes)


def _prices(axes: "Axes", scene: Scene) -> None:
    hour = _hour(scene)
    if len(hour):
        step = max(1, len(hour) // 4000)
        axes.plot(_minutes(scene, hour.time_ns[::step]), hour.price_e8[::step] / ONE_E8, color=_PRICE, lw=0.9,
                  label="trades")  # fmt: skip
    else:
        axes.text(0.5, 0.45, "no trade in the hour", ha="center", va="center", color="#666666",
                  transform=axes.transAxes)  # fmt: skip


def _walls(axes: "Axes", scene: Scene, low: float, high: float) -> None:
    labels: set[str] = set()
    for standing in _standing(scene):
        wall, state = standing.wall, standing.life.state
        price = wall.heavy_price_e8 / ONE_E8
        name = f"wall, {state}"
        axes.plot([-min(60, wall.age_min), 0], [price, price], color=_LIFE[state], lw=min(6.0, 1 + 30 * wall.bin.share),
                  alpha=0.85, solid_capstyle="butt", label=None if name in labels else name)  # fmt: skip
        labels.add(name)
    last = -np.inf
    for standing in sorted(_standing(scene), key=lambda w: w.wall.heavy_price_e8):
        last = max(standing.wall.heavy_price_e8 / ONE_E8, last + (high - low) * _WALL_LABEL_ROOM)
        text = f"{standing.id} {100 * standing.wall.bin.share:.1f} %"
        start = -min(58, max(4, standing.wall.age_min))
        axes.annotate(text, (start, last), fontsize=7, color=_LIFE[standing.life.state], va="center", ha="right",
                      clip_on=True)  # fmt: skip
    for end in scene.static.ended_walls:
        name = f"wall {end.ending}"
        axes.plot(_minutes(scene, end.minute_ns), end.price_e8 / ONE_E8, _ENDING[end.ending], color="#555555",
                  ms=5, alpha=0.7, label=None if name in labels else name, ls="none")  # fmt: skip
        labels.add(name)


def _profile(axes: "Axes", scene: Scene, low: float, high: float) -> None:
    level, total = scene.profile
    edges = _rows(scene, low, high, _PROFILE_ROWS)
    volume, _ = np.histogram(level / ONE_E8, edges, weights=total / scene.quantity_unit)
    axes.barh(edges[:-1], volume, height=np.diff(edges), align="edge", color="#94a3b8")
    axes.set_title(f"traded, {scene.profile_minutes // 60} h")
    axes.set_xlabel("base coins")
    axes.locator_params("x", nbins=4)
    axes.xaxis.set_major_formatter(lambda coins, _: short_amount(coins))


def _zones(axes: "Axes", scene: Scene) -> None:
    for zone in scene.advice.zones if scene.advice else ():
        low, high = zone.low_e8 / ONE_E8, zone.high_e8 / ONE_E8
        half = scene.tick_size_e8 / ONE_E8 / 2 if low == high else 0.0  # a zone of one price has a height
        if scene.is_fallback:
            axes.axhspan(low - half, high + half, fc="none", ec=_COLOUR[zone.side], hatch="///", ls="--", alpha=0.6)
        else:
            axes.axhspan(low - half, high + half, color=_COLOUR[zone.side], alpha=0.28, lw=0)


def _orders(axes: "Axes", scene: Scene) -> None:
    """The ladders, at the right edge, which is the tick's time."""
    for zone in scene.advice.zones if scene.advice else ():
        for rung in zone.ladder:
            axes.plot([-1.5, 0], [rung.price_e8 / ONE_E8] * 2, color=_COLOUR[zone.side], lw=1.2)


def _zone_labels(axes: "Axes", scene: Scene, low: float, high: float) -> None:
    """One label for each zone, moved apart where zones lie close."""
    zones = sorted(scene.advice.zones if scene.advice else (), key=lambda z: z.low_e8)
    min_gap, last = (high - low) * _LABEL_ROOM, -np.inf
    for zone in zones:
        middle = (zone.low_e8 + zone.high_e8) / 2 / ONE_E8
        last = max(middle, last + min_gap)
        suffix = " (fallback)" if scene.is_fallback else ""
        probability = f"{scene.probability_name} {zone.confidence:.2f}"
        text = f"{zone.side} {zone.weight:.0%} · {probability}{suffix}\n{'+'.join(zone.basis)}"
        axes.annotate(text, (0.99, last), fontsize=7, xycoords=("axes fraction", "data"), ha="right", va="center",
                      color=_COLOUR[zone.side], bbox=_LABEL_BOX)  # fmt: skip


def _frame(book: "Axes", side: "Axes", scene: Scene, low: float, high: float) -> None:
    stance = scene.advice.stance.replace("_", " ") if scene.advice else "no advice"
    book.set_title(f"{scene.symbol} at {iso(scene.as_of_ns)} · {stance}\n{scene.origin}", loc="left", fontsize=10)
    book.set_xlim(-60, 0)
    if high > low:
        book.set_ylim(low, high)
    else:
        book.text(0.5, 0.4, "no price on record", ha="center", va="center", color="#666666", transform=book.transAxes)
    book.set_xlabel("minutes before")
    book.set_ylabel("price")
    book.yaxis.set_major_formatter(_price)
    handles, _ = book.get_legend_handles_labels()
    if handles:
        for line in book.legend(loc="upper left", fontsize=7, framealpha=0.85).get_lines():
            line.set_linewidth(min(2.0, float(line.get_linewidth())))
    side.tick_params(labelleft=False)


def _price(value: float, _: float) -> str:
    """A label of the price axis, with as many of 8 decimals as it needs."""
    return format_e8(round(value * ONE_E8))


def short_amount(coins: float) -> str:
    """
    Format an amount for labels that stand side by side; above B (10^9) come T and Q (10^15).

    >>> [short_amount(coins) for coins in (0.25, 300, 40_000, 1.5e6)]
    ['0.25', '300', '40 k', '1.5 M']
    """
    for unit, letter in ((1e15, "Q"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if coins >= unit:
            return f"{coins / unit:.4g} {letter}"
    return f"{coins:.4g}"
