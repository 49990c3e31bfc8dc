"""
What a seed decides: a market, the faults of its exchange, the trouble of the log's server, and when all that happens.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simulators.exchange.faults.faults import FAULTS
from simulators.exchange.faults.scenarios import draw_rules
from simulators.exchange.market.parameters import MarketParameters

Kind = Literal["away", "reply_lost", "flaky", "slow"]

_MORE = 1_000_000
_KINDS: tuple[Kind, ...] = ("away", "reply_lost", "flaky", "slow")


@dataclass(frozen=True, slots=True)
class Trouble:
    """The log's server does not answer, does what it is told without saying so, either of them at times, or is slow."""

    kind: Kind
    at_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One run of the collector, all of it decided by the seed.

    Attributes:
        rules: of the exchange's script, for `simulators.exchange.faults.script.parse`.
        speed: market seconds in a second. lasts_s: how long there are faults.
        restart_s: when the collector is ended and started again, None for never; away_s: how long it is gone.
        queue_facts: how much memory holds before it spills. spill_bytes: how much the disk takes then.
    """

    seed: int
    rules: list[dict[str, Any]]
    parameters: MarketParameters
    speed: float
    lasts_s: float
    troubles: tuple[Trouble, ...]
    restart_s: float | None
    away_s: float
    interval_s: int
    snapshot_limit: int
    archive_every_s: float
    archive_keep: int
    queue_facts: int
    spill_bytes: int


def draw(seed: int, steps: int = 240, stretches: tuple[float, ...] = (1.0, 1.0, 8.0, 40.0)) -> Scenario:
    """
    The scenario of a seed.

    Args:
        steps: of the market, while there are faults. stretches: how many times as long faults may last.
    """
    rng = np.random.default_rng([seed, 17])
    speed = _one_of(rng, 1.0, 0.5, 0.25)
    lasts_s = steps / 10 / speed
    stretch, trades_per_second = _one_of(rng, *stretches), _one_of(rng, 1.0, 5.0, 20.0)
    rules = draw_rules(seed, stretch=stretch)
    if rng.random() < 0.3:
        rules += draw_rules(seed + _MORE, stretch=stretch)
    return Scenario(
        seed=seed,
        rules=[_in_reach(rule, steps, trades_per_second) for rule in rules],
        parameters=MarketParameters(
            symbol=f"S{seed}FDUSD",
            trades_per_second=trades_per_second,
            history_trades_per_second=_one_of(rng, 1.0, 5.0),
        ),
        speed=speed,
        lasts_s=lasts_s,
        troubles=_troubles(rng, lasts_s),
        restart_s=round(float(rng.uniform(1.0, lasts_s)), 2) if rng.random() < 0.3 else None,
        away_s=_one_of(rng, 0.1, 3.0, 30.0),
        interval_s=_one_of(rng, 10, 60),
        snapshot_limit=_one_of(rng, 100, 1000),
        archive_every_s=_one_of(rng, 20.0, 300.0),
        archive_keep=_one_of(rng, 1, 500),
        queue_facts=_one_of(rng, 50_000, 300, 30),
        spill_bytes=_one_of(rng, 8 << 30, 8 << 30, 100_000),
    )


def _in_reach(rule: dict[str, Any], steps: int, trades_per_second: float) -> dict[str, Any]:
    """A rule for the n-th of its occasions, where n is not beyond those that come in so short a time."""
    when, fault = rule["when"], FAULTS[rule["fault"]]
    if "nth" not in when:
        return rule
    trades = int(steps / 10 * trades_per_second)
    most = {"step": steps, "request": 4 if fault.path else 20, "connect": 2, "message": steps}[fault.place]
    if when.get("stream") == "trades":
        most = trades
    return rule | {"when": when | {"nth": 1 + (when["nth"] - 1) % most}}


def _troubles(rng: np.random.Generator, lasts_s: float) -> tuple[Trouble, ...]:
    count = int(rng.integers(0, 4)) if rng.random() < 0.5 else 0
    found = []
    for _ in range(count):
        at_s, seconds = float(rng.uniform(0.5, lasts_s)), float(rng.uniform(0.1, lasts_s / 2))
        found.append(Trouble(_one_of(rng, *_KINDS), round(at_s, 2), round(seconds, 2)))
    return tuple(found)


def _one_of(rng: np.random.Generator, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]
