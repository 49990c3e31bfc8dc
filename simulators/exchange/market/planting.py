"""
The structures that can be planted into a simulated market, and the records of them.

The records are the truth that detectors are scored against; an analyzer never reads them.
"""

from dataclasses import dataclass, field
from typing import Literal

from simulators.exchange.errors import ParameterError

Kind = Literal["wall", "band", "vacuum", "absorption", "sweep", "iceberg", "poc", "edge"]
Side = Literal["bid", "ask"]
Fate = Literal["holds", "pulled", "moved"]
Ending = Literal["waiting", "standing", "pulled", "moved", "filled", "breached", "done", "absent"]

CORRIDOR_BP = 90.0  # how far from the mid a side's depth counts for the size of a plant
MIN_BP = 0.5  # nearer ones would be traded through before they are seen
MIN_BAND_BP = 9.0  # a narrower band is a wall


@dataclass(frozen=True, slots=True)
class Hazard:
    """
    The rate of pulling a wall, per minute: base · (share / 1 %)^a · (distance / 10 bp)^b · (age in minutes + 1)^c.

    Attributes:
        base: pulls per minute at a share of 1 %, 10 bp away, just placed; with all powers 0 the rate is constant.
        share_power, distance_power, age_power: a, b, c.
    """

    base: float
    share_power: float = 0.0
    distance_power: float = 0.0
    age_power: float = 0.0

    def per_minute(self, share: float, distance_bp: float, age_min: float) -> float:
        """
        The rate per minute.

        Args:
            share: of the wall in its side's depth within 90 bp, 0 to 1.
            distance_bp: from the mid, bp; values below 0.5 count as 0.5.
            age_min: minutes since it was placed.
        """
        size = (max(share, 1e-9) / 0.01) ** self.share_power
        near = (max(distance_bp, MIN_BP) / 10.0) ** self.distance_power
        return self.base * size * near * (age_min + 1.0) ** self.age_power


@dataclass(frozen=True, slots=True)
class Plant:
    """
    One structure to plant.

    Attributes:
        kind: the structure. side: of the book; a sweep or absorption on the bid is by sellers, a poc ignores it.
        minute: whole minutes from the market's start until it is planted.
        strength: wall and iceberg, share of the side's depth within 90 bp; band and vacuum, factor on what would
            stand there; absorption, standard deviations of the market's one-minute volume of that aggressor; sweep,
            levels in one order; poc, extra volume over the market's usual volume in that time; edge, the chance that
            a touch which would break it is turned back. 0 plants nothing, and so does 1 for a band or vacuum.
        distance_bp: from the mid at planting to the near edge; absorption, sweep and poc happen at the touch.
        width_bp: of a band, vacuum or edge; 0 takes 12 bp for a band, 2 bp for an edge and √2 - 1 of the distance for a
            vacuum.
        minutes: its duration, of an edge until it is touched; ignored for a wall that holds.
        fate: of a wall, unless trades or its hazard end it earlier.
        hazard: of a wall, None for none.
    """

    kind: Kind
    side: Side
    minute: int
    strength: float
    distance_bp: float = 0.0
    width_bp: float = 0.0
    minutes: int = 1
    fate: Fate = "holds"
    hazard: Hazard | None = None

    def __post_init__(self) -> None:
        if self.minute < 0 or self.minutes < 1 or self.strength < 0.0:
            raise ParameterError(
                "a plant starts at minute 0 or later, lasts a minute or more, and has no negative strength"
            )
        if self.kind in ("wall", "iceberg") and not (self.distance_bp >= MIN_BP and self.strength < 0.5):
            raise ParameterError(f"a {self.kind} needs half a basis point from the mid and less than half of the depth")
        if self.kind in ("band", "vacuum") and self.distance_bp < 2.0:
            raise ParameterError(f"a {self.kind} stands at least 2 bp from the mid, not {self.distance_bp}")
        if self.kind == "band" and self.width_bp and self.width_bp < MIN_BAND_BP:
            raise ParameterError(f"a band is at least {MIN_BAND_BP:g} bp wide, not {self.width_bp}")
        if self.kind == "edge" and not (self.distance_bp >= MIN_BP and self.strength <= 1.0):
            raise ParameterError("an edge needs half a basis point from the mid and a strength, a chance, of at most 1")
        if self.kind == "sweep" and self.strength > 60:
            raise ParameterError("one order sweeps at most 60 levels")

    @property
    def absent(self) -> bool:
        """Whether its strength is one that plants nothing."""
        if self.kind == "band":
            return self.strength <= 1.0
        return self.strength == 0.0 or (self.kind == "vacuum" and self.strength >= 1.0)


@dataclass(frozen=True, slots=True)
class WallMinute:
    """
    A wall at the start of a minute.

    Attributes:
        time_ns: start of the minute. share: of the side's depth within 90 bp. distance_bp: of the heavy price from mid.
        age_min: since it was placed. hazard: pulls per minute. sigma_bp: the market's true volatility per minute.
        alive: False in the row after its end.
    """

    time_ns: int
    share: float
    distance_bp: float
    age_min: int
    hazard: float
    sigma_bp: float
    alive: bool


@dataclass(slots=True)
class PlantRecord:
    """
    The record of a plant.

    Attributes:
        id: kind and number, in order of planting; a wall that moves gets another record with `parent` set.
        low_e8, high_e8: the prices it covers, both included, 1e-8 quote.
        heavy_price_e8: the price of most of its quantity; None for structures without one.
        target_strength, actual_strength: the strength of the plant, and as measured, in the same unit.
        start_ns, end_ns: ns UTC; None before it begins, or ends. touched_ns: first trade at its heavy price, or None.
        ending: its state, or how it ended. minutes: of a wall, a row per minute.
    """

    id: str
    plant: Plant
    parent: str | None = None
    low_e8: int = 0
    high_e8: int = 0
    heavy_price_e8: int | None = None
    target_strength: float = 0.0
    actual_strength: float = 0.0
    start_ns: int | None = None
    end_ns: int | None = None
    touched_ns: int | None = None
    ending: Ending = "waiting"
    minutes: list[WallMinute] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """The kind of the plant."""
        return self.plant.kind

    @property
    def side(self) -> Side:
        """The side of the book."""
        return self.plant.side

    @property
    def hazard(self) -> Hazard | None:
        """The true hazard of a wall."""
        return self.plant.hazard
