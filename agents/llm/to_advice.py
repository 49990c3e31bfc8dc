"""
From the end of a conversation to advice: the model's where the firewall admitted it, the rules' marked where not.
"""

from dataclasses import replace

from agents.llm.conversation.dialogue import Outcome
from agents.recommendation import Advice, evidence_digest, violations
from agents.rules import RulesAnalyst
from agents.zones import confidence_warning
from analysis.parameters import Parameters
from analysis.view import MarketView


def advice_of(
    view: MarketView,
    outcome: Outcome,
    analyst: str,
    prompt_digest: str,
    rules: RulesAnalyst,
    parameters: Parameters,
) -> Advice:
    """What an ended conversation advises."""
    decision = outcome.decision
    if decision is None:
        return fallback_advice(view, outcome.reason, analyst, prompt_digest, rules)
    advice = Advice(
        symbol=view.symbol,
        as_of_ns=view.as_of_ns,
        as_of_seq=view.as_of_seq,
        mid_e8=view.mid_e8,
        reference_e8=view.reference_e8,
        sigma=view.sigma,
        stance=decision.stance,
        reason=decision.reason,
        zones=decision.zones,
        analyst=analyst,
        model=outcome.model,
        prompt_digest=prompt_digest,
        evidence_digest=evidence_digest(view),
        warnings=view.warnings + ((confidence_warning(parameters.confidence),) if decision.zones else ()),
    )
    errors = violations(advice, view)
    return fallback_advice(view, f"our own fault: {errors[0]}", analyst, prompt_digest, rules) if errors else advice


def fallback_advice(view: MarketView, reason: str, analyst: str, prompt_digest: str, rules: RulesAnalyst) -> Advice:
    """The rules' answer, marked as standing in for an analyst's."""
    return replace(rules.decide(view), analyst=analyst, prompt_digest=prompt_digest, fallback=reason)
