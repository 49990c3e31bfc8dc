"""
One planted market, analysed every minute: the plants, the detectors' reports, and which report meets which plant.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analysis.observe import Findings, Observer
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.state import MarketState, TickEntry, Windows
from runtime.loop import drive
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.planting import Kind, Plant, PlantRecord, Side
from simulators.exchange.planted.planted_market import PlantedMarket
from simulators.exchange.playback.record import batches

START_NS = 1_772_409_600 * SECOND_NS
MINUTES = 90
MARKET = MarketParameters(natural_walls=False, longest_run=9, trades_per_second=10.0)
WINDOWS = Windows(bucket_minutes=240, trade_minutes=120)

KINDS: tuple[Kind, ...] = ("wall", "band", "vacuum", "absorption", "sweep")
STRENGTHS: dict[Kind, tuple[float, ...]] = {
    "wall": (0.003, 0.006, 0.01, 0.015, 0.02, 0.03, 0.045, 0.07),
    "band": (1.25, 1.5, 2.0, 3.0, 4.0, 6.0),
    "vacuum": (0.8, 0.6, 0.45, 1 / 3, 0.2, 0.1),
    "absorption": (1.0, 2.0, 3.0, 4.0, 6.0, 8.0),
    "sweep": (3.0, 6.0, 9.0, 12.0, 18.0, 25.0),
}
"""From invisible to obvious."""

Fate = Literal["holds", "early", "late", "moved"]
FATES: tuple[Fate, ...] = ("holds", "early", "late", "moved")
STRONG: dict[str, float] = {"wall": 0.03, "band": 4.0, "vacuum": 0.2, "absorption": 4.0, "sweep": 12.0}
"""From which strength on a structure must be found, and a report claims such a one."""

_SAME_ALARM_NS = 10 * MINUTE_NS
_LATE_NS = 90 * SECOND_NS


def is_strong(kind: Kind, strength: float) -> bool:
    """Whether a structure must be found."""
    return strength <= STRONG[kind] if kind == "vacuum" else strength >= STRONG[kind]


@dataclass(slots=True)
class PlantResult:
    """
    One plant and whether it was found.

    Attributes:
        delay_min: from its start to the first report, None without one. error_bins: how far off it was then.
        ending, reported_ending: how a wall ended, and how it was reported to end.
    """

    kind: Kind
    strength: float
    fate: str
    minutes: float
    delay_min: float | None = None
    error_bins: float | None = None
    ending: str | None = None
    reported_ending: str | None = None


@dataclass(slots=True)
class MarketResult:
    """
    The result of one market.

    Attributes:
        right, alarms: plants that reports met, and reports that met none, each once for as long as it lasts.
        strong_right, strong_alarms: the same for reports that claim a strong structure.
        book_counts, null_counts: mean count per tick in the book and in the shuffled book, walls, bands and voids.
    """

    plants: list[PlantResult] = field(default_factory=list)
    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    alarms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    strong_right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    strong_alarms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    hours: float = 0.0
    book_counts: dict[str, float] = field(default_factory=dict)
    null_counts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """
    A detector's report: an interval, a point in it, and the span of time it describes.

    Attributes:
        seen_ns: the tick. strong: whether it claims a structure as large as those that must be found.
    """

    kind: Kind
    side: Side
    low_e8: int
    high_e8: int
    price_e8: int
    start_ns: int
    stop_ns: int
    seen_ns: int
    strong: bool


def plan_plants(seed: int) -> list[Plant]:
    """Plan the plants: on each side two walls, on one a band, on the other a void, and absorption and sweeps."""
    rng = np.random.default_rng([seed, 77])

    def strength(kind: Kind, strong: bool) -> float:
        choices = [s for s in STRENGTHS[kind] if is_strong(kind, s) or not strong]
        return float(rng.choice(choices))

    plants: list[Plant] = []
    sides: tuple[Side, Side] = ("bid", "ask") if seed % 2 else ("ask", "bid")
    for number, side in enumerate(sides):
        for strong in (True, False):
            fate = FATES[(seed + 2 * number + strong) % 4]
            minutes = {"holds": 1, "early": int(rng.integers(5, 10)), "late": int(rng.integers(35, 50)),
                     "moved": int(rng.integers(8, 20))}[fate]  # fmt: skip
            distance_bp = float(rng.uniform(14, 22) if strong else rng.uniform(26, 34))
            start = int(rng.integers(16, 26))
            kind_of_fate: Literal["holds", "pulled", "moved"] = (
                "holds" if fate == "holds" else "moved" if fate == "moved" else "pulled"
            )
            plants.append(
                Plant("wall", side, start, strength("wall", strong), distance_bp, minutes=minutes, fate=kind_of_fate)
            )
    strong = seed % 3 > 0
    plants.append(Plant("band", sides[0], int(rng.integers(16, 30)), strength("band", strong),
                        float(rng.uniform(40, 60)), float(rng.uniform(12, 16)), 40))  # fmt: skip
    plants.append(Plant("vacuum", sides[1], int(rng.integers(30, 45)), strength("vacuum", strong),
                        float(rng.uniform(40, 55)), float(rng.uniform(22, 30)), 25))  # fmt: skip
    for minute in (35, 50, 65, 80):
        side = sides[int(rng.integers(2))]
        plants.append(Plant("absorption", side, minute, strength("absorption", bool(rng.random() < 0.7))))
    for minute in (32, 40, 45, 55, 60, 70, 75):
        side = sides[int(rng.integers(2))]
        plants.append(Plant("sweep", side, minute, strength("sweep", bool(rng.random() < 0.7))))
    return plants


def run_market(seed: int, with_plants: bool) -> MarketResult:
    """Run one market and compare the reports with the plants."""
    market = PlantedMarket(MARKET, plan_plants(seed) if with_plants else [], seed, START_NS)
    state, parameters = MarketState(WINDOWS), Parameters()
    observer = Observer(MARKET.symbol, state, parameters)
    reports: list[Report] = []
    endings: list[tuple[Side, int, int, str]] = []
    counts: list[tuple[tuple[int, float], ...]] = []

    def on_tick(tick: TickEntry, state_at_tick: MarketState) -> None:
        findings = observer.find(state_at_tick)
        reports.extend(_reports(findings, tick.boundary_ns))
        endings.extend((e.side, e.price_e8, e.minute_ns, e.ending) for e in findings.static.ended_walls
                       if e.minute_ns == tick.boundary_ns)  # fmt: skip
        counts.extend(
            ((s.outliers, s.null.walls), (s.current_bands, s.null.bands), (s.thin_cells, s.null.voids or 0.0))
            for s in (findings.static.sides or {}).values()
            if s.thin_cells is not None
        )

    drive(batches(market, START_NS, MINUTES), state, on_tick)
    return _account(market.records, reports, endings, counts)


def _reports(findings: Findings, at_ns: int) -> Iterator[Report]:
    for side, static_side in (findings.static.sides or {}).items():
        for standing in static_side.walls:
            low = standing.wall.bin.price_e8
            yield Report(
                "wall", side, low, low + ONE_E8 - 1, low, at_ns, at_ns, at_ns, standing.wall.bin.share >= STRONG["wall"]
            )
        for band in static_side.bands:
            strong = band.ratio >= STRONG["band"]
            yield Report("band", side, band.low_e8, band.high_e8 - 1, band.low_e8, at_ns, at_ns, at_ns, strong)
        for void in static_side.voids or ():
            yield Report(
                "vacuum",
                side,
                void.low_e8,
                void.high_e8 - 1,
                void.low_e8,
                at_ns,
                at_ns,
                at_ns,
                void.quantity_e8 <= STRONG["vacuum"] * void.median_e8,
            )
    for absorption in findings.flow.absorptions:
        level_e8 = absorption.price_e8
        yield Report(
            "absorption",
            absorption.side,
            level_e8,
            level_e8,
            level_e8,
            absorption.start_ns,
            absorption.stop_ns,
            at_ns,
            absorption.z >= STRONG["absorption"],
        )
    for sweep in findings.flow.sweeps:
        side = "bid" if sweep.side == "sell" else "ask"
        edges = sorted((sweep.first_e8, sweep.last_e8))
        strong = sweep.levels >= STRONG["sweep"]
        yield Report("sweep", side, edges[0], edges[1], edges[0], sweep.start_ns, sweep.stop_ns, at_ns, strong)


def _is_match(report: Report, record: PlantRecord) -> bool:
    """Whether a report describes a plant: same kind and side, while it was there, and in the same place."""
    if report.kind != record.kind or report.side != record.side or record.start_ns is None:
        return False
    end_ns = record.end_ns if record.end_ns is not None else 2**62
    if report.kind in ("absorption", "sweep"):
        if report.stop_ns < record.start_ns or report.start_ns > end_ns:
            return False
        return report.kind == "sweep" or abs(report.price_e8 - record.low_e8) <= 20 * ONE_E8
    if not record.start_ns <= report.start_ns <= end_ns + (_LATE_NS if report.kind != "wall" else 0):
        return False
    if report.kind == "wall":
        return abs(report.low_e8 // ONE_E8 - record.low_e8 // ONE_E8) <= 1
    common = min(report.high_e8, record.high_e8) - max(report.low_e8, record.low_e8)
    return 2 * common >= min(report.high_e8 - report.low_e8, record.high_e8 - record.low_e8)


def _is_left_by_plant(report: Report, record: PlantRecord) -> bool:
    """Whether a void is where a band or a wall has gone: it is thinner there than it was, as reported."""
    if report.kind != "vacuum" or record.kind not in ("band", "wall") or record.side != report.side:
        return False
    if record.end_ns is None or report.start_ns < record.end_ns:
        return False
    return report.low_e8 <= record.high_e8 and record.low_e8 <= report.high_e8


def _error_bins(report: Report, record: PlantRecord) -> float:
    """The error in bins: of a wall's or absorption's price, of a void's far edge, the mean of both edges otherwise."""
    if report.kind in ("wall", "absorption"):
        price_e8 = record.heavy_price_e8 if record.heavy_price_e8 is not None else record.low_e8
        return float(abs(report.price_e8 // ONE_E8 - price_e8 // ONE_E8))
    low = abs(report.low_e8 // ONE_E8 - record.low_e8 // ONE_E8)
    high = abs(report.high_e8 // ONE_E8 - record.high_e8 // ONE_E8)
    if report.kind == "vacuum":
        return float(low if report.side == "bid" else high)
    return (low + high) / 2


def _account(
    records: Sequence[PlantRecord],
    reports: Sequence[Report],
    endings: Iterable[tuple[Side, int, int, str]],
    counts: Sequence[tuple[tuple[int, float], ...]],
) -> MarketResult:
    account = MarketResult(hours=MINUTES / 60)
    alarms: list[Report] = []
    for report in reports:
        if any(_is_match(report, r) or _is_left_by_plant(report, r) for r in records):
            continue
        is_repeat = any(
            a.kind == report.kind and a.side == report.side and report.start_ns - a.stop_ns <= _SAME_ALARM_NS
            and a.low_e8 - ONE_E8 <= report.high_e8 and report.low_e8 <= a.high_e8 + ONE_E8
            and a.strong >= report.strong
            for a in alarms
        )  # fmt: skip
        alarms.append(report)
        account.alarms[report.kind] += not is_repeat
        account.strong_alarms[report.kind] += report.strong and not is_repeat
    wall_endings = list(endings)
    for record in records:
        if record.kind not in KINDS or record.start_ns is None:
            continue
        matches = [r for r in reports if _is_match(r, record)]
        account.right[record.kind] += bool(matches)
        account.strong_right[record.kind] += any(r.strong for r in matches)
        account.plants.append(_score_plant(record, matches, wall_endings))
    for place, name in enumerate(("wall", "band", "vacuum")):
        pairs = np.array([c[place] for c in counts], np.float64).reshape(-1, 2)
        account.book_counts[name], account.null_counts[name] = (
            pairs.mean(axis=0).round(4).tolist() if len(pairs) else (0.0, 0.0)
        )
    return account


def _score_plant(
    record: PlantRecord, matches: Sequence[Report], endings: Sequence[tuple[Side, int, int, str]]
) -> PlantResult:
    start = record.start_ns or 0
    end = record.end_ns or START_NS + MINUTES * MINUTE_NS
    plant = PlantResult(record.kind, record.plant.strength, record.plant.fate, (end - start) / MINUTE_NS)
    plant.ending = record.ending
    if matches:
        plant.delay_min = round((matches[0].seen_ns - start) / MINUTE_NS, 2)
        plant.error_bins = float(np.median([_error_bins(r, record) for r in matches]))
    for side, price, at_ns, ending in endings:
        is_same_wall = side == record.side and abs(price // ONE_E8 - record.low_e8 // ONE_E8) <= 1
        if record.kind == "wall" and is_same_wall and abs(at_ns - end) <= 2 * MINUTE_NS:
            plant.reported_ending = ending
    return plant
