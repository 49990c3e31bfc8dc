"""
Random scripts of faults, by their seed, for tests.
"""

from typing import Any

import numpy as np

from simulators.exchange.faults.faults import FAULTS, Place
from simulators.fault_rules import Value

# The highest `nth` of a rule, by place: low enough that a short test reaches it.
_MESSAGES = 200
_REQUESTS = 12
_STEPS = 200
_MAX_RULES = 8
_STATUSES = ("HALT", "BREAK", "CANCEL_ONLY")

_WAITS = ("seconds", "retry_after_s")

# Parameters of a fault in the short scenario of tests.
_BRIEF: dict[str, dict[str, Value]] = {
    "refused_connection": {"status": 503, "retry_after_s": 1},
    "age_limit": {"seconds": 0.5},
    "server_shutdown": {"seconds": 0.2},
    "delayed": {"seconds": 0.2},
    "http_429": {"retry_after_s": 0.2},
    "http_418": {"retry_after_s": 0.3},
    "timeout": {"seconds": 1.0},
    "slow_answer": {"seconds": 0.3},
    "clock_drift": {"ms_per_s": 50},
    "wrong_from_id": {"skip": 25},
}


def draw_rules(
    seed: int, places: tuple[Place, ...] = ("step", "connect", "message", "request"), stretch: float = 1.0
) -> list[dict[str, Any]]:
    """
    One to eight random rules for `script.parse`; no wait among their parameters is longer than a second.

    Args:
        seed: of the random numbers.
        places: the places that the faults may have.
        stretch: factor on the waits, 1 for the original ones.

    Returns:
        The rules as JSON objects.
    """
    rng = np.random.default_rng([seed, 5])
    names = [fault.name for fault in FAULTS.values() if fault.place in places]
    rules = [_rule(rng, names[int(rng.integers(len(names)))]) for _ in range(int(rng.integers(1, _MAX_RULES + 1)))]
    return [rule | {name: rule[name] * stretch for name in _WAITS if name in rule} for rule in rules]


def _rule(rng: np.random.Generator, name: str) -> dict[str, Any]:
    place = FAULTS[name].place
    when: dict[str, Any]
    if place == "message":
        when = {"stream": ("trades", "diffs")[int(rng.integers(2))]}
        if rng.random() < 0.5:
            return {"when": {**when, "chance": round(float(rng.uniform(0.005, 0.05)), 3)}, "fault": name, "times": 3,
                    **_parameters(rng, name)}  # fmt: skip
        when["nth"] = int(rng.integers(1, _MESSAGES + 1))
    else:
        when = {"nth": int(rng.integers(1, {"step": _STEPS, "request": _REQUESTS, "connect": 3}[place] + 1))}
    return {"when": when, "fault": name, "times": 1, **_parameters(rng, name)}


def _parameters(rng: np.random.Generator, name: str) -> dict[str, Value]:
    if name == "symbol_status":
        return {"status": _STATUSES[int(rng.integers(3))], "steps": int(rng.integers(1, 30))}
    if name == "clock_skew":
        return {"ms": int(rng.integers(-5_000, 5_001))}
    if name == "stall":
        return {"streams": ("all", "trades", "diffs")[int(rng.integers(3))], "seconds": 0.3}
    if name == "missing":
        return {"everywhere": int(rng.integers(2))}
    return dict(_BRIEF.get(name, {}))
