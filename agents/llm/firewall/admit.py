"""
The number firewall: a model's decision becomes zones only if all its figures are grounded in what the model was shown.

Only intervals, weights and texts are taken from the answer; ladders, confidence, invalidation and basis are computed
as the rules compute them.
"""

from dataclasses import dataclass

from agents.llm.firewall.laws import Citable, faults
from agents.llm.firewall.reading import Decision, Malformed, Proposal, read
from agents.recommendation import Stance, Zone
from agents.zones import NOTHING_NEAR, UNMEASURED, Scale, ZoneSupport, assign_weights, build_zone
from analysis.confluence import Confluence
from analysis.evidence import Evidence
from analysis.parameters import Parameters
from analysis.view import MarketView

_MAX_REASONS = 12  # recorded of one refusal


@dataclass(frozen=True, slots=True)
class AdmittedDecision:
    """A decision that broke no rule, with complete zones."""

    stance: Stance
    reason: str
    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class RefusedDecision:
    """Why a decision was refused: sentences of one line, the first to be fixed first, none quoting a text."""

    reasons: tuple[str, ...]


def admit(content: str, view: MarketView, parameters: Parameters) -> AdmittedDecision | RefusedDecision:
    """
    Turn a model's decision into zones, or say why not. Takes any text and never raises.

    Args:
        content: the answer as it came.
        view: the tick that the model was shown.
        parameters: the most zones, and how zones are built.
    """
    problem = problem_of_view(view)
    if problem is not None or view.reference_e8 is None or view.sigma is None:
        return RefusedDecision((f"nothing can be decided at this tick: {problem}",))
    try:
        decision = read(content, 2 * parameters.zones_a_side)
    except Malformed as malformed:
        return RefusedDecision(_limit_reasons(malformed.reasons))
    errors = faults(decision, view)
    if errors:
        return RefusedDecision(_limit_reasons(errors))
    return _build_decision(decision, view, Scale(view.reference_e8, view.sigma, view.tick_size_e8), parameters)


def problem_of_view(view: MarketView) -> str | None:
    """Why no model should be asked about a view, None where one may be."""
    if view.reference_e8 is None or view.sigma is None:
        return UNMEASURED
    return None if view.zones else NOTHING_NEAR


def _limit_reasons(reasons: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    more = len(reasons) - _MAX_REASONS
    return (*reasons[:_MAX_REASONS], *([f"and {more} more faults of these kinds"] if more > 0 else []))


def _build_decision(
    decision: Decision, view: MarketView, scale: Scale, parameters: Parameters
) -> AdmittedDecision | RefusedDecision:
    citable = Citable.of(view)
    zones = []
    for n, proposal in enumerate(decision.zones):
        support = _support_of(proposal, view, citable)
        zone = build_zone(proposal.side, proposal.low_e8, proposal.high_e8, support, scale, parameters)
        if zone is None:
            return RefusedDecision((f"zones[{n}]: no price is left below it that could prove it wrong; leave it out",))
        zones.append((proposal.weight, zone))
    return AdmittedDecision(decision.stance, decision.reason.strip(), tuple(assign_weights(zones)) if zones else ())


def _support_of(zone: Proposal, view: MarketView, citable: Citable) -> ZoneSupport:
    """The support of a proposal: the zone or evidence that encloses it, and the other cited evidence it touches."""
    holder = citable.holder(zone)
    assert holder is not None  # a law
    pieces = {e.id: e for citation in citable.citations(zone) for e in _pieces(citation) if _touches(e, zone)}
    pieces |= {e.id: e for e in _pieces(holder)}
    evidence = tuple(pieces[name] for name in sorted(pieces))
    source = holder if isinstance(holder, Confluence) else _enclosing_confluence(holder, zone, view)
    if isinstance(source, Confluence):
        return ZoneSupport(source.price_e8, source.score, len(source.legs), evidence)
    return ZoneSupport(min(max(source.price_e8, zone.low_e8), zone.high_e8), source.strength, 1, evidence)


def _enclosing_confluence(piece: Evidence, zone: Proposal, view: MarketView) -> Confluence | Evidence:
    """The confluence zone around a proposal inside one piece of evidence; the piece where there is none."""
    enclosing = (z for z in view.zones if z.low_e8 <= zone.low_e8 and zone.high_e8 <= z.high_e8)
    return next((z for z in enclosing if any(e.id == piece.id for e in z.evidence)), piece)


def _pieces(citation: Confluence | Evidence) -> tuple[Evidence, ...]:
    return citation.evidence if isinstance(citation, Confluence) else (citation,)


def _touches(evidence: Evidence, zone: Proposal) -> bool:
    return evidence.low_e8 <= zone.high_e8 and zone.low_e8 <= evidence.high_e8
