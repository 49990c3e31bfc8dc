"""
The analysis and decision of one tick, shared by the analyzer and the replay.
"""

from dataclasses import dataclass

from agents.analyst import Analyst
from agents.recommendation import Advice, violations
from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.view import MarketView
from projections.state import MarketState, TickEntry


class UnsoundAdvice(Exception):
    """An analyst broke a rule of recommendations: a bug of ours, never published."""


@dataclass(frozen=True, slots=True)
class TickDecision:
    """The view of a tick and the advice; no advice where the tick says that trades are not live."""

    tick: TickEntry
    view: MarketView
    advice: Advice | None


class Decider:
    """
    Analyses each tick and decides it with one analyst.

    Args:
        symbol: the market's symbol, for the record. state: the folds that the loop drives.
        analyst: decides. parameters: the thresholds of the analysis.
    """

    def __init__(self, symbol: str, state: MarketState, analyst: Analyst, parameters: Parameters) -> None:
        self._observer = Observer(symbol, state, parameters)
        self._analyst = analyst

    def decide(self, tick: TickEntry, state: MarketState) -> TickDecision:
        """
        The analysis and the advice at a tick; a function of the state alone.

        Raises:
            UnsoundAdvice: the analyst broke a rule of recommendations.
        """
        view = self._observer.observe(tick, state)
        if tick.trades != "live":
            return TickDecision(tick, view, None)
        advice = self._analyst.decide(view)
        errors = violations(advice, view)
        if errors:
            raise UnsoundAdvice(f"tick at seq {tick.seq}: {'; '.join(errors[:3])}")
        return TickDecision(tick, view, advice)
