"""The text for Prometheus against a strict reader of its format, whatever the names and numbers."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.metrics.prometheus import to_text

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"')
_NUMBER = re.compile(r"NaN|[+-]Inf|[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_UNESCAPED = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}

Series = tuple[str, frozenset[tuple[str, str]]]


def samples_of(text: str) -> dict[Series, float]:
    """
    Every sample of a text in exposition format 0.0.4.

    Asserts that it is one: lines end with a line feed, HELP and TYPE stand once before all samples of their name, those
    stand together, types are known, counters are called `_total`, labels and series stand once.
    """
    assert text.endswith("\n")
    text.encode()
    samples: dict[Series, float] = {}
    types: dict[str, str] = {}
    current, help_names = "", ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            help_names = line.split(" ", 3)[2]
            assert help_names not in types
            continue
        if line.startswith("# TYPE "):
            _, _, current, form = line.split(" ")
            assert (current, current in types) == (help_names, False)
            assert form in {"counter", "gauge"}
            assert current.endswith("_total") == (form == "counter")
            types[current] = form
            continue
        name = _NAME.match(line)
        assert name is not None, line
        assert name[0] == current
        labels, rest = _labels_of(line[name.end() :])
        assert _NUMBER.fullmatch(rest), line
        series = (name[0], frozenset(labels.items()))
        assert series not in samples, line
        samples[series] = float(rest)
    return samples


def _labels_of(text: str) -> tuple[dict[str, str], str]:
    labels: dict[str, str] = {}
    assert text.startswith("{")
    at = 1
    while text[at] != "}":
        match = _LABEL.match(text, at)
        assert match is not None, text
        assert match[1] not in labels
        labels[match[1]] = re.sub(r"\\.", lambda escape: _UNESCAPED[escape[0]], match[2])
        at = match.end() + (text[match.end()] == ",")
    assert text[at + 1] == " "
    return labels, text[at + 2 :]


def a_measurement(market: str = "binance:BTCFDUSD", value: Any = 1, kind: str = "agg_trade") -> dict[str, Any]:
    """What is measured of a market, with one value everywhere."""
    latency = {"count": 1, "p50_ms": value, "p95_ms": value, "p99_ms": value}
    plain = (
        "connects", "disconnects", "reconnects", "resyncs", "quarantined", "queue_depth", "queue_max_depth",
        "max_depth", "cache_size", "queue_bytes", "queue_waits", "queue_waited_s", "queue_longest_wait_s",
        "spill_bytes", "spill_facts", "spilled", "dropped", "server_away", "last_seq",
    )  # fmt: skip
    return {
        "market": market,
        "event_latency": {kind: latency},
        "pipeline_latency": {kind: latency},
        "batch_time_span": latency,
        "batch_span": {"avg": value, "max": value, "count": value},
        **{name: {kind: value} for name in ("receive_rate_per_s", "received", "fetched", "stored")},
        **dict.fromkeys(plain, value),
    }


def value_of(samples: dict[Series, float], name: str, **labels: str) -> float:
    """One sample."""
    return samples[f"liquidity_collector_{name}", frozenset(labels.items())]


def test_what_is_measured_is_what_is_read() -> None:
    """One market: every figure under its name, with its labels."""
    measurement = a_measurement()
    measurement |= {"batch_span": {"avg": 3.333, "max": 7, "count": 3}, "queue_max_depth": 9, "max_depth": 9}
    measurement |= {"cache_size": 4, "fetched": {"agg_trade": 1000}, "server_away": True}
    samples = samples_of(to_text([measurement]))
    market = {"market": "binance:BTCFDUSD"}
    assert value_of(samples, "batch_span_avg", **market) == 3.333
    assert value_of(samples, "batch_span_max", **market) == 7
    assert value_of(samples, "batch_span_messages", **market) == 3
    assert value_of(samples, "batch_time_span_ms", quantile="0.99", **market) == 1
    assert value_of(samples, "queue_max_depth", **market) == 9
    assert value_of(samples, "max_depth", **market) == 9
    assert value_of(samples, "cache_size", **market) == 4
    assert value_of(samples, "fetched_total", stream="agg_trade", **market) == 1000
    assert value_of(samples, "server_away", **market) == 1
    assert value_of(samples, "event_latency_ms", stream="agg_trade", quantile="0.5", **market) == 1


def test_what_is_not_measured_has_no_line() -> None:
    """None everywhere: names and types, no samples."""
    assert samples_of(to_text([a_measurement(value=None)])) == {}
    assert samples_of(to_text([])) == {}


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 1e300, -5e-324, 10**40, True, np.float32(0.5), np.int64(-3), np.float64(2.5)],
)
def test_every_number_is_read_as_it_was(value: Any) -> None:
    """Not finite, very large, very small, a truth value, numpy's own."""
    values = set(map(repr, samples_of(to_text([a_measurement(value=value)])).values()))
    assert values == {repr(float(value))}


def test_a_series_stands_once() -> None:
    """Two markets of one name: the last one counts."""
    samples = samples_of(to_text([a_measurement(value=1), a_measurement(value=2)]))
    assert set(samples.values()) == {2}


@given(
    st.lists(st.text(st.characters(exclude_categories=())), max_size=4),
    st.text(st.characters(exclude_categories=())),
    st.none() | st.integers() | st.floats(),
)
def test_whatever_names_and_numbers_the_format_holds(markets: list[str], kind: str, value: Any) -> None:
    """Line feeds, quotes, backslashes, halves of surrogate pairs: the format holds, and names come back whole."""
    samples = samples_of(to_text([a_measurement(market, value, kind) for market in markets]))
    names = {dict(labels)["market"] for _, labels in samples}
    expected = {market.encode("utf-8", "backslashreplace").decode() for market in markets}
    assert names == (expected if value is not None else set())
