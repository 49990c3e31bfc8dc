"""
Decisions on their way out: into the decision log first, then to whoever looks.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from agents.decide import Decided
from eventlog import hot as hots
from eventlog.clock import Clock
from eventlog.errors import StoreUnavailable
from eventlog.facts import ANALYSIS, RECOMMENDATION, Analysis, Fact, Recommendation
from eventlog.files import told_plainly
from eventlog.log import Log
from eventlog.writer import LogWriter
from market.instrument import Market
from market.timestamps import HOUR_NS, SECOND_NS, iso

_log = structlog.get_logger()


class Publisher:
    """
    Logs and publishes decisions.

    Args:
        writer: of the decision log. connect: makes a connection for the looking glass.
        logs_dir: where `trading_recommendations_<symbol>.log` grows, a JSON line a recommendation.
    """

    def __init__(
        self, writer: LogWriter, connect: Callable[[], Any], market: Market, logs_dir: Path, clock: Clock
    ) -> None:
        self.published = 0
        self._writer = writer
        self._connect = connect
        self._client = connect()
        self._market = market
        self._clock = clock
        self._file = logs_dir / f"trading_recommendations_{market.symbol.lower()}.log"

    def publish(self, decided: Decided, log: Log) -> None:
        """
        Log a decision, and publish its advice unless the tick was reached more than an interval late.

        Raises:
            StoreUnavailable: the decision is numbered but nobody knows whether it is stored: flush the writer.
        """
        tick, advice = decided.tick, decided.advice
        now = self._clock.now_ns()
        analysis = Analysis(tick.seq, tick.boundary_ns, decided.view.render().decode())
        facts: list[Fact] = [analysis.fact(ANALYSIS, now)]
        on_time = now - tick.boundary_ns <= 2 * tick.interval_ns
        if advice is not None:
            body = advice.render().decode()
            last_seq = log.last_seq() if on_time else None
            entry = Recommendation(tick.seq, tick.boundary_ns, advice.analyst, now if on_time else None, last_seq, body)
            facts.append(entry.fact(RECOMMENDATION, now))
        self._writer.append(facts)
        if advice is not None and on_time:
            self._show(decided, body, now)

    def _show(self, decided: Decided, body: str, now: int) -> None:
        self.published += 1
        line = {"published": iso(now), **msgspec.json.decode(body)}
        with told_plainly(self._file), open(self._file, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        name = f"analysis_results:{decided.tick.boundary_ns // SECOND_NS}"
        if str(self._market) != "binance:BTCFDUSD":
            name += f":{self._market.symbol}"
        shown = {
            "analysis": msgspec.Raw(decided.view.render()),
            "recommendation": msgspec.Raw(body.encode()),
            "published": iso(now),
        }
        try:
            with hots.told_plainly():
                self._client.set(name, msgspec.json.encode(shown), ex=HOUR_NS // SECOND_NS)
        except StoreUnavailable as error:
            _log.warning("analysis_results not written", reason=str(error))
            self._client = self._connect()
