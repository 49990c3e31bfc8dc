"""
Decisions on their way out: into the decision log first, then to whoever looks.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from agents.decide import Decided
from eventlog import hot as hots
from eventlog.clock import Clock
from eventlog.errors import EventLogError
from eventlog.facts import ANALYSIS, RECOMMENDATION, Analysis, Fact, Recommendation
from eventlog.files import told_plainly
from eventlog.log import Log
from market.instrument import Market
from market.timestamps import HOUR_NS, SECOND_NS, iso

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision ready for the log; `published` where its advice goes out."""

    decided: Decided
    facts: tuple[Fact, ...]
    published: bool
    made_ns: int


class Publisher:
    """
    Words decisions for the log, and shows the published ones.

    Args:
        connect: makes a connection for `analysis_results:{timestamp}`.
        logs_dir: where `trading_recommendations_<symbol>.log` grows, a JSON line a recommendation.
    """

    def __init__(self, connect: Callable[[], Any], market: Market, logs_dir: Path, clock: Clock) -> None:
        self._connect = connect
        self._client = connect()
        self._market = market
        self._clock = clock
        self._file = logs_dir / f"trading_recommendations_{market.symbol.lower()}.log"

    def decision(self, decided: Decided, log: Log) -> Decision:
        """
        The facts of a decision; its advice is not published where the tick was reached more than an interval late.

        Raises:
            StoreUnavailable: nobody can say which seq was the last.
        """
        tick, advice = decided.tick, decided.advice
        now = self._clock.now_ns()
        facts = [Analysis(tick.seq, tick.boundary_ns, decided.view.render().decode()).fact(ANALYSIS, now)]
        on_time = now - tick.boundary_ns <= tick.interval_ns
        if advice is not None:
            published_ns, published_seq = (now, log.last_seq()) if on_time else (None, None)
            entry = Recommendation(
                tick.seq, tick.boundary_ns, advice.analyst, published_ns, published_seq, advice.render().decode()
            )
            facts.append(entry.fact(RECOMMENDATION, now))
        return Decision(decided, tuple(facts), advice is not None and on_time, now)

    def show(self, decision: Decision) -> None:
        """Publish what is in the log now: a line in the file, and the whole analysis in Redis for an hour."""
        advice, tick = decision.decided.advice, decision.decided.tick
        if not decision.published or advice is None:
            return
        published = iso(decision.made_ns)
        line = {"published": published, **msgspec.json.decode(advice.render())}
        try:
            with told_plainly(self._file), open(self._file, "a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except EventLogError as error:
            _log.warning("recommendation not written to its file; the log has it", reason=str(error))
        name = f"analysis_results:{tick.boundary_ns // SECOND_NS}"
        if str(self._market) != "binance:BTCFDUSD":
            name += f":{self._market.symbol}"
        shown = {
            "analysis": msgspec.Raw(decision.decided.view.render()),
            "recommendation": msgspec.Raw(advice.render()),
            "published": published,
        }
        try:
            with hots.told_plainly():
                self._client.set(name, msgspec.json.encode(shown), ex=HOUR_NS // SECOND_NS)
        except EventLogError as error:
            _log.warning("analysis_results not written", reason=str(error))
            self._client = self._connect()
