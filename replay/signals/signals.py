"""
Every detector as a signal, with the control it is measured against.

A signal that names a price is a level: it says price will turn there. One that names none is a direction: it says where
price goes next. Both are sighted at ticks, once for as long as they last. VPIN and Kyle's λ are no signals: they say
how one-sided and how expensive trading was, not its direction. MLOFI is scored as its sum, "ofi, five levels".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.evidence import Basis
from analysis.flow.flow_findings import BookFlowFindings, Fusion
from analysis.flow.flow_quote import Quote
from analysis.observe import Findings
from market.timestamps import MINUTE_NS
from projections.state import MarketState

Control = Literal["ordinary level, same distance", "price extreme alone", "random minute"]

SAME_DISTANCE: Control = "ordinary level, same distance"
EXTREME_ALONE: Control = "price extreme alone"
RANDOM_MINUTE: Control = "random minute"

_STRONG_Z = 2.0  # flows count as signals from this z-score on
_STRONG_IMBALANCE = 0.5  # three quarters of the size at the best quotes on one side
_STRONG_LEAN = 0.25  # of the spread: as far as the weighted mid leans at that imbalance
_MIN_TESTS = 2  # of a level before its rate of rejections counts
_ENDED_NS = 2 * MINUTE_NS  # a book may come after its tick
_DIRECTION_LASTS_NS = 5 * MINUTE_NS  # a direction that holds on is one signal for so long

SIGNALS: dict[str, Control] = {
    "wall": SAME_DISTANCE,
    "major wall": SAME_DISTANCE,
    "band": SAME_DISTANCE,
    "vacuum edge": SAME_DISTANCE,
    "confirmed vacuum": SAME_DISTANCE,
    "poc": SAME_DISTANCE,
    "value area edge": SAME_DISTANCE,
    "hvn": SAME_DISTANCE,
    "lvn": SAME_DISTANCE,
    "naked poc": SAME_DISTANCE,
    "held before": SAME_DISTANCE,
    "zone, one leg": SAME_DISTANCE,
    "zone, two legs": SAME_DISTANCE,
    "zone, triple": SAME_DISTANCE,
    "absorption": EXTREME_ALONE,
    "sweep": RANDOM_MINUTE,
    "footprint stack": RANDOM_MINUTE,
    "cvd": RANDOM_MINUTE,
    "cvd level": RANDOM_MINUTE,
    "ofi, best quote": RANDOM_MINUTE,
    "ofi, five levels": RANDOM_MINUTE,
    "ofi_v13": RANDOM_MINUTE,
    "fusion, strong": RANDOM_MINUTE,
    "divergence": RANDOM_MINUTE,
    "divergence, inconsistent": RANDOM_MINUTE,
    "queue imbalance": RANDOM_MINUTE,
    "micro-price": RANDOM_MINUTE,
    "wall pulled": RANDOM_MINUTE,
    "wall filled": RANDOM_MINUTE,
    "wall breached": RANDOM_MINUTE,
}
"""Every signal and its control; a detector without one is not finished."""

LEVEL_LASTS_NS = 60 * MINUTE_NS
"""For how long a level counts as the same sighting."""

_OF_BASIS: dict[Basis, str] = {
    "wall": "wall",
    "band": "band",
    "vacuum_edge": "vacuum edge",
    "poc": "poc",
    "value_area": "value area edge",
    "hvn": "hvn",
    "naked_poc": "naked poc",
}
_LEGS = {1: "zone, one leg", 2: "zone, two legs", 3: "zone, triple"}  # zones by their number of legs
_FLOWS: dict[str, Callable[[BookFlowFindings], float | None]] = {
    "cvd": lambda flows: flows.cvd.z,
    "cvd level": lambda flows: flows.cvd.level_z,
    "ofi, best quote": lambda flows: flows.ofi1.z,
    "ofi, five levels": lambda flows: flows.ofi5.z,
    "ofi_v13": lambda flows: flows.ofi_v13.z,
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    A signal at a tick.

    Attributes:
        up: whether price should go up from here. price_e8: the level, None for a direction.
        as_control: whether it is the control, sighted where the signal was not.
    """

    signal: str
    up: bool
    price_e8: int | None
    as_control: bool = False


def find_sightings(findings: Findings, state: MarketState, reach_sigma: float) -> Iterator[Sighting]:
    """
    Find the signals at a tick; levels only where σ is known, and within reach of the price.

    Args:
        findings: of the analysis at the tick.
        state: of the market at the tick.
        reach_sigma: the largest distance of a level from the price, in σ.
    """
    reference = findings.reference_e8
    if reference is None:
        return
    if findings.sigma is not None:
        reach = reference * findings.sigma * reach_sigma
        for signal, price in _levels(findings):
            if price != reference and abs(price - reference) <= reach:
                yield Sighting(signal, price < reference, price)
        yield from _absorption(findings, state)
    yield from _directions(findings)
    yield from _walls_gone(findings, state)


def _levels(findings: Findings) -> Iterator[tuple[str, int]]:
    major = {w.id for side in (findings.static.sides or {}).values() for w in side.walls if w.wall.major}
    for piece in findings.evidence:
        if piece.basis in _OF_BASIS:
            yield _OF_BASIS[piece.basis], piece.price_e8
        if piece.id in major:
            yield "major wall", piece.price_e8
        crossing = findings.flow.crossings.get(piece.id)
        if crossing is not None and crossing.confirmed:
            yield "confirmed vacuum", piece.price_e8
    for profile in (findings.flow.profiles or {}).values():
        if profile is not None:
            yield from (("lvn", node.price_e8) for node in profile.lvn)
    for record in findings.tests.values():
        if record.recent_rate is not None and record.recent_rate > 0.5 and record.tests >= _MIN_TESTS:
            yield "held before", record.level_e8
    for zone in findings.zones:
        yield _LEGS[len(zone.legs)], zone.price_e8


def _absorption(findings: Findings, state: MarketState) -> Iterator[Sighting]:
    sides = {a.side for a in findings.flow.absorptions}
    reference = findings.reference_e8 or 0
    for absorption in findings.flow.absorptions:
        if absorption.price_e8 != reference and (absorption.price_e8 < reference) == (absorption.side == "bid"):
            yield Sighting("absorption", absorption.side == "bid", absorption.price_e8)
    minute = state.trades.between(state.buckets.end_ns - MINUTE_NS, state.buckets.end_ns).price_e8
    if len(minute):
        for side, price in (("bid", int(minute.min())), ("ask", int(minute.max()))):
            if side not in sides and price != reference and (price < reference) == (side == "bid"):
                yield Sighting("absorption", side == "bid", price, as_control=True)


def _directions(findings: Findings) -> Iterator[Sighting]:
    if findings.flow.sweeps:
        yield Sighting("sweep", findings.flow.sweeps[-1].side == "buy", None)
    if findings.flow.footprint is not None:
        for stack in findings.flow.footprint.stacks:
            yield Sighting("footprint stack", stack.side == "buy", None)
    if findings.flow.book_flow is not None:
        yield from _book_flow(findings.flow.book_flow)


def _book_flow(flows: BookFlowFindings) -> Iterator[Sighting]:
    for signal, figure in _FLOWS.items():
        z = figure(flows)
        if z is not None and abs(z) >= _STRONG_Z:
            yield Sighting(signal, z > 0, None)
    fusion, kind = flows.fusion, flows.divergence.kind
    if isinstance(fusion, Fusion) and fusion.strong:
        yield Sighting("fusion, strong", fusion.value > 0, None)
    if kind in ("bullish", "bearish"):
        yield Sighting("divergence", kind == "bullish", None)
    ofi = (flows.ofi5 if fusion.uses == "ofi5" else flows.ofi1).z
    if kind == "inconsistent" and ofi is not None:
        yield Sighting("divergence, inconsistent", ofi > 0, None)  # with the book, against the trades
    quote = flows.quote
    if quote is None:
        return
    if abs(quote.imbalance) >= _STRONG_IMBALANCE:
        yield Sighting("queue imbalance", quote.imbalance > 0, None)
    lean = _lean(quote)
    if abs(lean) >= _STRONG_LEAN:
        yield Sighting("micro-price", lean > 0, None)


def _lean(quote: Quote) -> float:
    """How far the fitted micro-price lies from the mid, in spreads; 0 where it is not fitted."""
    if quote.micro_price_e8 is None or quote.ask_e8 <= quote.bid_e8:
        return 0.0  # the weighted mid is the imbalance over again
    twice = 2 * quote.micro_price_e8 - quote.bid_e8 - quote.ask_e8
    return round(twice / (2 * (quote.ask_e8 - quote.bid_e8)), 6)


def _walls_gone(findings: Findings, state: MarketState) -> Iterator[Sighting]:
    """Walls that ended: price should go where they stood in the way; a wall that moved still stands."""
    for wall in findings.static.ended_walls:
        if wall.ending != "moved" and state.buckets.end_ns - wall.minute_ns <= _ENDED_NS:
            yield Sighting(f"wall {wall.ending}", wall.side == "ask", None)


class FirstSightings:
    """Filters repeated sightings: a level counts once an hour, a direction once in five minutes."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, bool, bool], list[tuple[int, int]]] = {}
        self._directions: dict[tuple[str, bool], int] = {}

    def select_new(self, at_ns: int, sightings: Sequence[Sighting], near_e8: int) -> list[Sighting]:
        """
        Select the sightings of a tick that are new.

        Args:
            at_ns: the tick's boundary.
            sightings: of the tick.
            near_e8: levels of one signal no farther apart than this are the same, 1e-8 quote.
        """
        return [s for s in sightings if (self._new_direction(at_ns, s) if s.price_e8 is None else
                                    self._new_level(at_ns, s, s.price_e8, near_e8))]  # fmt: skip

    def _new_direction(self, at_ns: int, sighting: Sighting) -> bool:
        key = (sighting.signal, sighting.up)
        last = self._directions.get(key)
        if last is not None and at_ns - last < _DIRECTION_LASTS_NS:
            return False
        self._directions[key] = at_ns
        return True

    def _new_level(self, at_ns: int, sighting: Sighting, price_e8: int, near_e8: int) -> bool:
        key = (sighting.signal, sighting.up, sighting.as_control)
        recent = [(p, t) for p, t in self._levels.get(key, []) if at_ns - t < LEVEL_LASTS_NS]
        self._levels[key] = recent
        if any(abs(p - price_e8) <= near_e8 for p, _ in recent):
            return False
        recent.append((price_e8, at_ns))
        return True
