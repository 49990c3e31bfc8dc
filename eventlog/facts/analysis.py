"""
The analyzer's results at each tick, and the settings they were made under.
"""

from typing import Literal

from eventlog.facts.entry import Body
from eventlog.facts.kind import DECISIONS, Kind

ANALYZER_SESSION = "analyzer_session"
ANALYSIS = "analysis"
RECOMMENDATION = "recommendation"


class AnalyzerSession(Body, frozen=True):
    """The settings, parameters and code that the following analyses were made under."""

    event: Literal["started", "stopped"]
    code: str
    lock_digest: str
    parameters_digest: str
    settings: str


class Analysis(Body, frozen=True):
    """The analysis of one tick: `body` is canonical JSON, computed from market entries up to `market_seq`."""

    market_seq: int
    as_of_ns: int
    body: str


class Recommendation(Body, frozen=True):
    """The recommendation of one tick; never published where `published_ns` is None."""

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
