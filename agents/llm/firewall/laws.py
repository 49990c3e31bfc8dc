"""
The rules of a decision, each with its own reason in one line that a model can act on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec

from agents.llm.firewall.candidates import find_candidates
from agents.llm.firewall.figures import ShownFigures
from agents.llm.firewall.plain_text import text_faults
from agents.llm.firewall.reading import ONE_WEIGHT, Decision, Proposal, quote
from agents.recommendation import Stance
from agents.zones import shrink_to_grid
from analysis.confluence import Confluence
from analysis.evidence import Evidence, format_price
from analysis.grid import bp_between
from analysis.render.view_json import render_view
from analysis.view import MarketView
from market.fixed_point import format_e8

Citation = Confluence | Evidence

_WEIGHT_SLACK = ONE_WEIGHT // 100  # how far the sum of weights may be off 1; they are normalised
_MAX_NAMED = 3  # bounds a complaint: the model is shown the first citations only
_STANCES: dict[frozenset[str], Stance] = {
    frozenset(): "stand_aside",
    frozenset({"buy"}): "bid_only",
    frozenset({"sell"}): "ask_only",
    frozenset({"buy", "sell"}): "two_sided",
}


@dataclass(frozen=True, slots=True)
class Citable:
    """What a decision may cite: the zones and evidence of a view by id."""

    by_id: dict[str, Citation]

    @classmethod
    def of(cls, view: MarketView) -> "Citable":
        """All zones and evidence of a view."""
        return cls({e.id: e for e in view.evidence} | {z.id: z for z in view.zones})

    def citations(self, zone: Proposal) -> list[Citation]:
        """The zones and evidence that a proposal cites; unknown ids are skipped."""
        return [self.by_id[name] for name in zone.evidence if name in self.by_id]

    def holder(self, zone: Proposal) -> Citation | None:
        """The citation that encloses a proposal, a confluence zone before evidence; None where none does."""
        holders = [c for c in self.citations(zone) if c.low_e8 <= zone.low_e8 and zone.high_e8 <= c.high_e8]
        return min(holders, key=lambda c: not isinstance(c, Confluence), default=None)


def faults(decision: Decision, view: MarketView) -> list[str]:
    """The rules that a decision breaks, a sentence each, in the order in which a model should fix them."""
    if decision.reference_e8 != view.reference_e8:
        return [
            f"reference speaks of another moment; the reference price of this tick is {format_price(view.reference_e8)}"
        ]
    citable = Citable.of(view)
    errors = _stance_faults(decision)
    for n, zone in enumerate(decision.zones):
        errors += [f"zones[{n}]: {fault}" for fault in _zone_faults(zone, view, citable)]
    return [*errors, *_overlaps(decision.zones), *_weight_faults(decision.zones), *_text_faults(decision, view)]


def _stance_faults(decision: Decision) -> list[str]:
    sides = frozenset(z.side for z in decision.zones)
    if decision.stance != _STANCES[sides]:
        sides_text = " and ".join(sorted(sides)) or "no"
        return [f"the stance {decision.stance} does not fit {sides_text} zones; with these it is {_STANCES[sides]}"]
    if decision.stance == "stand_aside" and not decision.reason.strip():
        return ["stand_aside needs a reason"]
    return []


def _zone_faults(zone: Proposal, view: MarketView, citable: Citable) -> Iterator[str]:
    tick = view.tick_size_e8
    if zone.low_e8 > zone.high_e8:
        yield f"low {format_e8(zone.low_e8)} is above high {format_e8(zone.high_e8)}"
    low, high = shrink_to_grid(zone.low_e8, zone.high_e8, tick)
    for name, value, near in (("low", zone.low_e8, low), ("high", zone.high_e8, high)):
        if value != near:
            yield f"{name} {format_e8(value)} is off the tick grid of {format_e8(tick)}; inward is {format_e8(near)}"
    yield from _side_faults(zone, view)
    yield from _citation_faults(zone, view, citable)
    yield from _reach_faults(zone, view)


def _side_faults(zone: Proposal, view: MarketView) -> Iterator[str]:
    bounds = {"reference": view.reference_e8, "mid": view.mid_e8}
    for name, bound in bounds.items():
        if bound is None:
            continue
        limit = format_price(bound)
        if zone.side == "buy" and zone.high_e8 >= bound:
            yield f"high {format_e8(zone.high_e8)} is on the wrong side; a buy lies below the {name} {limit}"
        if zone.side == "sell" and zone.low_e8 <= bound:
            yield f"low {format_e8(zone.low_e8)} is on the wrong side; a sell lies above the {name} {limit}"


def _citation_faults(zone: Proposal, view: MarketView, citable: Citable) -> Iterator[str]:
    unknown = [name for name in zone.evidence if name not in citable.by_id]
    if unknown:
        yield f"evidence cites an unknown id{quote(unknown[0])}; cite ids that were shown"
    citations = citable.citations(zone)
    for citation in citations:
        if view.reference_e8 is not None and _across(citation, zone, view.reference_e8):
            yield f"evidence {citation.id} lies on the other side of the reference than a {zone.side}"
    if citations and not unknown and zone.low_e8 <= zone.high_e8 and citable.holder(zone) is None:
        intervals = ", ".join(f"{c.id} is {_interval(c, view.tick_size_e8)}" for c in citations[:_MAX_NAMED])
        yield f"it does not lie wholly inside one zone or evidence it cites: {intervals}"


def _across(citation: Citation, zone: Proposal, reference_e8: int) -> bool:
    return citation.price_e8 > reference_e8 if zone.side == "buy" else citation.price_e8 < reference_e8


def _interval(citation: Citation, tick: int) -> str:
    low, high = shrink_to_grid(citation.low_e8, citation.high_e8, tick)
    return f"{format_e8(low)} to {format_e8(high)}" if low <= high else "too narrow for the grid"


def _reach_faults(zone: Proposal, view: MarketView) -> Iterator[str]:
    """Compare with the book's reach, which is measured from its mid in hundredths of a basis point."""
    far = zone.low_e8 if zone.side == "buy" else zone.high_e8
    reach = view.reach_bp.get("bid" if zone.side == "buy" else "ask")
    if view.mid_e8 is None or reach is None:
        return
    away = abs(bp_between(far, view.mid_e8))
    if away > reach:
        yield f"{format_e8(far)} is beyond the observed book: {away} bp from the mid, seen are {reach} bp"


def _overlaps(zones: Sequence[Proposal]) -> Iterator[str]:
    for (n, first), (m, second) in combinations(enumerate(zones), 2):
        if first.side != second.side:
            continue
        if (first.low_e8, first.high_e8) == (second.low_e8, second.high_e8):
            yield f"zones[{m}]: is a duplicate of zones[{n}]; give each zone once"
        elif first.low_e8 < second.high_e8 and second.low_e8 < first.high_e8:  # candidates often share an edge
            yield f"zones[{m}]: overlaps zones[{n}]; zones of one side may share an edge at most"


def _weight_faults(zones: Sequence[Proposal]) -> Iterator[str]:
    for n, zone in enumerate(zones):
        if zone.weight > ONE_WEIGHT:
            yield f"zones[{n}]: weight is above 1; it must be above 0 and at most 1"
    total = sum(zone.weight for zone in zones)
    if zones and abs(total - ONE_WEIGHT) > _WEIGHT_SLACK:
        yield f"the weights sum to {total / ONE_WEIGHT:.4f}; they must sum to 1"


def _text_faults(decision: Decision, view: MarketView) -> Iterator[str]:
    # a reason may also name the edges of the decision's own zones, which other rules check
    own = [z.low_e8 for z in decision.zones] + [z.high_e8 for z in decision.zones]
    edges = [edge for candidate in find_candidates(view)[0] for edge in (candidate.low_e8, candidate.high_e8)]
    figures = ShownFigures(" ".join([_material(view), *map(format_e8, [*own, *edges])]))
    texts = {"reason": decision.reason} | {f"zones[{n}]: reason": zone.reason for n, zone in enumerate(decision.zones)}
    for name, text in texts.items():
        errors = text_faults(text)
        yield from (f"{name} {fault}" for fault in errors)
        ungrounded = () if errors else figures.ground(text).ungrounded
        if ungrounded:
            figure = quote(ungrounded[0])
            yield f"{name} holds a figure nobody showed{figure}; use only figures that were shown, as shown"


def _material(view: MarketView) -> str:
    """What was shown, without the digests of state and parameters, which hold digits too."""
    view_fields = msgspec.json.decode(render_view(view))
    rest = {k: v for k, v in view_fields.items() if k not in ("as_of_seq", "state", "parameters")}
    return msgspec.json.encode(rest).decode()
