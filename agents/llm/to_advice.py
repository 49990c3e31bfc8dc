"""
From the outcome of a conversation to advice: the model's where the firewall admitted it, else the rules', marked.
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
    """
    Turn the outcome of a conversation into advice.

    Args:
        view: the tick that was asked about.
        outcome: how the conversation ended.
        analyst: the analyst's name for the record.
        prompt_digest: the digest of the prompts for the record.
        rules: decides where the outcome holds no decision or its advice breaks a rule.
        parameters: give the warning about the confidence.
    """
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
    """
    The rules' advice, marked as standing in for an analyst's.

    Args:
        view: the tick to decide.
        reason: why the analyst did not decide, one line.
        analyst: the name of the analyst it stands in for.
        prompt_digest: the digest of the analyst's prompts for the record.
        rules: the analyst that decides instead.
    """
    return replace(rules.decide(view), analyst=analyst, prompt_digest=prompt_digest, fallback=reason)
