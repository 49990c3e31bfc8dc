"""
The findings of changes of the book and trades at a tick: one struct for each measure.

Quantities are in base coins, rounded for people; a figure that cannot be computed is None, and `reason` says why.
"""

from collections.abc import Mapping

import msgspec

from analysis.flow.flow_measures import Divergence, FlowR2, Label, Position
from analysis.flow.flow_quote import Quote
from projections.book.order_book import Status


class FlowFigure(msgspec.Struct, frozen=True):
    """A flow's sum over the last minute, and its z-score against the seconds before."""

    minute: float | None
    z: float | None
    reason: str | None = None


class LevelFlows(msgspec.Struct, frozen=True):
    """The sum over the last minute at each of the best levels (MLOFI), best first."""

    minute: tuple[float, ...] | None
    reason: str | None = None


class MovingAverage(msgspec.Struct, frozen=True):
    """An exponential average of CVD's level: its value, its change in a minute, and where the level lies from it."""

    value: float
    slope: float
    side: Position


class CvdFigure(msgspec.Struct, frozen=True):
    """
    Cumulative volume delta over the window.

    Attributes:
        minute, window: bought less sold in the last minute, and in all of the window.
        z: of the minute's increments. level_z: of the level, which is not stationary.
        averages: by seconds of the span; None until there is a span and a minute of it.
        cross: whether the shortest average crossed the longest in the last minute: up, down or none.
        averages_reason: why there is no cross.
    """

    minute: float
    window: float
    z: float | None
    level_z: float | None
    averages: Mapping[int, MovingAverage | None]
    cross: str | None
    averages_reason: str | None
    reason: str | None = None


class StrongSecond(msgspec.Struct, frozen=True):
    """A second of the last minute in which both flows were strong: its start, the fused value and the consistency."""

    start_ns: int
    value: float
    consistency: float


class Fusion(msgspec.Struct, frozen=True):
    """
    OFI and CVD fused into one figure.

    Attributes:
        uses: which OFI. value, consistency, strong, label: of the last minute.
        strong_seconds: number of strong seconds in it; of these labelled strong_buy, and strong_sell.
        strongest: the strongest of them, oldest first.
    """

    uses: str
    value: float
    consistency: float
    strong: bool
    label: Label
    strong_seconds: int
    strong_buy_seconds: int
    strong_sell_seconds: int
    strongest: tuple[StrongSecond, ...]


class NoFusion(msgspec.Struct, frozen=True):
    """Why there is no fusion, and which OFI it would have used."""

    uses: str
    reason: str


class DivergenceFigure(msgspec.Struct, frozen=True):
    """Whether the flows of the last minute run against its trend, in bp and in σ, and how strongly."""

    kind: Divergence | None
    strength: float | None
    trend_bp: float | None = None
    trend_sigma: float | None = None
    reason: str | None = None


class VpinFigure(msgspec.Struct, frozen=True):
    """The share of volume that was one-sided, over buckets of equal volume."""

    value: float | None
    buckets: int = 0
    bucket: float = 0.0
    reason: str | None = None


class KyleFigure(msgspec.Struct, frozen=True):
    """Kyle's λ: how far the mid moves for each coin bought, from n intervals."""

    quote_per_base: float | None
    r2: float | None = None
    n: int = 0
    reason: str | None = None


class ExplainsFigure(msgspec.Struct, frozen=True):
    """How much of the mid's change over intervals of some seconds each flow explains; None where they are too few."""

    interval_s: int
    n: int
    flows: Mapping[str, FlowR2] | None
    reason: str | None = None


class BookFlowFindings(msgspec.Struct, frozen=True):
    """
    Every measure of the window.

    Attributes:
        book: the order book's status. window_s: seconds of the window; complete_s: those in which the book was known.
        updates, resets: of the book. quote: None where there is none at the end of the window.
        ofi1, ofi5: order-flow imbalance at the best level, and over five. ofi_v13: the same by changes of size.
        explains: over one second, and over the interval that Kyle's λ is fitted on.
    """

    book: Status
    window_s: int
    complete_s: int
    updates: int
    resets: int
    quote: Quote | None
    ofi1: FlowFigure
    ofi5: FlowFigure
    mlofi: LevelFlows
    ofi_v13: FlowFigure
    cvd: CvdFigure
    fusion: Fusion | NoFusion
    divergence: DivergenceFigure
    vpin: VpinFigure
    kyle: KyleFigure
    explains: tuple[ExplainsFigure, ...]
