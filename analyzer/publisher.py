"""
Publishes decisions: first into the decision log, then to the recommendations file and to Redis.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from analysis.render.view_json import render_view
from eventlog.clock import Clock
from eventlog.disk.daily_file import DailyFile
from eventlog.errors import EventLogError
from eventlog.facts.analysis import ANALYSIS, RECOMMENDATION, Analysis, Recommendation
from eventlog.facts.entry import Fact
from eventlog.store import hot as hots
from eventlog.store.log import Log
from market.fixed_point import format_e8
from market.instrument import Market
from market.printable import printable
from market.timestamps import HOUR_NS, SECOND_NS, iso
from runtime.decide import TickDecision

_LONGEST_REASON = 200  # bounds a line of the log

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PublishedDecision:
    """
    A decision as facts for the log.

    Attributes:
        published: whether its advice is published. made_ns: when it was made, UTC ns.
    """

    tick_decision: TickDecision
    facts: tuple[Fact, ...]
    published: bool
    made_ns: int


class Publisher:
    """
    Makes the facts of decisions, and publishes those that are in time.

    Args:
        connect: makes a connection for `analysis_results:{timestamp}`.
        market: whose decisions they are.
        logs_dir: folder of `trading_recommendations_<symbol>.log`, one JSON line per recommendation, one file per day.
        clock: UTC ns for the facts.
        keep_days: number of days that its files are kept beside today's.
    """

    def __init__(
        self, connect: Callable[[], Any], market: Market, logs_dir: Path, clock: Clock, keep_days: int = 14
    ) -> None:
        self._connect = connect
        self._client = connect()
        self._market = market
        self._clock = clock
        self._file = DailyFile(logs_dir / f"trading_recommendations_{market.symbol.lower()}.log", keep_days)

    def prepare(self, tick_decision: TickDecision, log: Log) -> PublishedDecision:
        """
        Make the facts of a decision; its advice is not published where the tick was reached more than an interval late.

        Args:
            tick_decision: the analysis and its advice. log: whose last seq is recorded with a publication.

        Raises:
            StoreUnavailable: the last seq of the log cannot be read.
        """
        tick, advice = tick_decision.tick, tick_decision.advice
        now = self._clock.now_ns()
        facts = [Analysis(tick.seq, tick.boundary_ns, render_view(tick_decision.view).decode()).fact(ANALYSIS, now)]
        on_time = now - tick.boundary_ns <= tick.interval_ns
        if advice is not None:
            published_ns, published_seq = (now, log.last_seq()) if on_time else (None, None)
            entry = Recommendation(
                tick.seq, tick.boundary_ns, advice.analyst, published_ns, published_seq, advice.render().decode()
            )
            facts.append(entry.fact(RECOMMENDATION, now))
        return PublishedDecision(tick_decision, tuple(facts), advice is not None and on_time, now)

    def publish(self, decision: PublishedDecision) -> None:
        """Publish a decision that is in the log: a line in the file, and the analysis in Redis for an hour."""
        advice, tick = decision.tick_decision.advice, decision.tick_decision.tick
        if not decision.published or advice is None:
            return
        published_at = iso(decision.made_ns)
        line = {"published": published_at, **msgspec.json.decode(advice.render())}
        try:
            self._file.append(json.dumps(line, ensure_ascii=False) + "\n", decision.made_ns)
        except EventLogError as error:
            _log.warning("recommendation not written to its file; the log has it", reason=str(error))
        name = f"analysis_results:{tick.boundary_ns // SECOND_NS}"
        if str(self._market) != "binance:BTCFDUSD":
            name += f":{self._market.symbol}"
        body = {
            "analysis": msgspec.Raw(render_view(decision.tick_decision.view)),
            "recommendation": msgspec.Raw(advice.render()),
            "published": published_at,
        }
        try:
            with hots.translate_errors():
                self._client.set(name, msgspec.json.encode(body), ex=HOUR_NS // SECOND_NS)
        except EventLogError as error:
            _log.warning("analysis_results not written", reason=str(error))
            self._client = self._connect()

    def log_decision(self, decision: PublishedDecision) -> None:
        """Log in one line what was advised, or why nothing was."""
        tick, advice = decision.tick_decision.tick, decision.tick_decision.advice
        at = iso(tick.boundary_ns)
        if advice is None:
            _log.info("no advice: trades are not live", tick=at, trades=tick.trades)
        elif not decision.published:
            _log.info("advice not published: the tick was reached too late", tick=at)
        elif advice.stance == "stand_aside":
            _log.info("stands aside", tick=at, reason=printable(advice.reason, _LONGEST_REASON))
        else:
            zones = ", ".join(
                f"{zone.side} {format_e8(zone.low_e8)}-{format_e8(zone.high_e8)} ({zone.weight:.0%})"
                for zone in advice.zones
            )
            by = advice.analyst if advice.fallback is None else f"rules, for {advice.analyst}: {advice.fallback}"
            _log.info("advice published", tick=at, stance=advice.stance, zones=zones, by=printable(by, _LONGEST_REASON))
