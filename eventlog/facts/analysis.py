"""
What the analyzer made of a market at each tick, and under which settings.
"""

from typing import Literal

from eventlog.facts.entry import Body
from eventlog.facts.kind import DECISIONS, Kind

ANALYZER_SESSION = "analyzer_session"
ANALYSIS = "analysis"
RECOMMENDATION = "recommendation"


class AnalyzerSession(Body, frozen=True):
    """Under which settings, parameters and code the analyses that follow were made."""

    event: Literal["started", "stopped"]
    code: str
    lock_digest: str
    parameters_digest: str
    settings: str


class Analysis(Body, frozen=True):
    """What was seen at a tick: `body` is canonical JSON, computed from market entries up to `market_seq`."""

    market_seq: int
    as_of_ns: int
    body: str


class Recommendation(Body, frozen=True):
    """What was advised at a tick; never published where `published_ns` is None."""

    market_seq: int
    as_of_ns: int
    analyst: str
    published_ns: int | None
    published_seq: int | None
    body: str


ANALYSIS_KINDS = (
    Kind(ANALYZER_SESSION, AnalyzerSession, DECISIONS),
    Kind(ANALYSIS, Analysis, DECISIONS),
    Kind(RECOMMENDATION, Recommendation, DECISIONS),
)
