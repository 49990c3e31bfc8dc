"""
The port that every analyst implements: the rules, a live model, or the record of one.
"""

from typing import Protocol

from agents.recommendation import Advice
from analysis.view import MarketView


class Analyst(Protocol):
    """Turns the view of a market at a tick into advice."""

    @property
    def name(self) -> str:
        """The analyst's name in the decision log."""

    def decide(self, view: MarketView) -> Advice:
        """Give advice that breaks no rule of `recommendation.violations`; the same view gives the same advice."""
