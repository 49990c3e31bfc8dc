"""
The port every analyst implements: rules, a model, or what was recorded.
"""

from typing import Protocol

from agents.recommendation import Advice
from analysis.view import MarketView


class Analyst(Protocol):
    """Turns what is seen at a tick into advice."""

    @property
    def name(self) -> str:
        """What the decision log calls it."""

    def decide(self, view: MarketView) -> Advice:
        """Advice that keeps every law of `recommendation.violations`; the same view gives the same advice."""
