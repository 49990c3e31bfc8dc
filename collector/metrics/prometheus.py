"""
What is measured, as text for Prometheus; pure.

Source: Prometheus text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX = "liquidity_collector_"
_QUANTILES = {"p50_ms": "0.5", "p95_ms": "0.95", "p99_ms": "0.99"}
_LATENCIES = {
    "event_latency": "receive time less the venue's event time, over the last five minutes",
    "pipeline_latency": "time in the log less receive time, over the last five minutes",
}
_SPAN = {
    "avg": ("batch_span_avg", "update ids of a diff message, mean over the last five minutes"),
    "max": ("batch_span_max", "update ids of a diff message, most over the last five minutes"),
    "count": ("batch_span_messages", "diff messages of the last five minutes"),
}
_BY_LABEL = {
    "receive_rate_per_s": ("stream", "gauge", "messages a second over the last five minutes"),
    "received": ("stream", "counter", "messages received since the start"),
    "fetched": ("stream", "counter", "trades asked for over REST that were stored since the start, in no latency"),
    "stored": ("kind", "counter", "facts stored since the start"),
}
_PLAIN = {
    "connects": ("counter", "connections opened"),
    "disconnects": ("counter", "connections ended"),
    "reconnects": ("counter", "connections opened after the first"),
    "resyncs": ("counter", "times the book had to be built anew"),
    "quarantined": ("counter", "messages that could not be read"),
    "queue_depth": ("gauge", "facts in memory that are not in the log yet"),
    "queue_max_depth": ("gauge", "most facts in memory over the last five minutes"),
    "max_depth": ("gauge", "the same as queue_max_depth"),
    "cache_size": ("gauge", "facts in memory that are not in the log yet, those read back from disk included"),
    "queue_bytes": ("gauge", "bytes of the facts in the queue"),
    "queue_waits": ("counter", "times reading waited for room in the queue"),
    "queue_waited_s": ("counter", "seconds that reading waited for room in the queue"),
    "queue_longest_wait_s": ("gauge", "longest wait for room in the queue, seconds"),
    "spill_bytes": ("gauge", "bytes on disk that are not in the log yet"),
    "spill_facts": ("gauge", "facts on disk that are not in the log yet"),
    "spilled": ("counter", "facts that went to disk first"),
    "dropped": ("gauge", "facts that were put and are neither stored nor on their way"),
    "server_away": ("gauge", "whether the log's server does not answer"),
    "last_seq": ("counter", "last seq of the log"),
}

_Row = tuple[dict[str, str], Any, Mapping[str, Any]]


def text_of(markets: Sequence[Mapping[str, Any]]) -> str:
    """
    The metrics of some markets, each as `collector.metrics.metrics.measured` gives them.

    What is not measured (None) has no line. A series stands once: of two markets of one name the last one counts.
    """
    by_series = {line if line.startswith("#") else line.rpartition(" ")[0]: line for line in _lines(markets)}
    return "\n".join(by_series.values()) + "\n"


def _lines(markets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name, about in _LATENCIES.items():
        rows = [({"stream": stream}, said, m) for m in markets for stream, said in m[name].items()]
        yield from _quantiles(f"{_PREFIX}{name}_ms", about, rows)
    spans: list[_Row] = [({}, m["batch_time_span"], m) for m in markets]
    yield from _quantiles(f"{_PREFIX}batch_time_span_ms", "first to last receive time of a stored batch", spans)
    for key, (name, about) in _SPAN.items():
        yield from _head(f"{_PREFIX}{name}", "gauge", about)
        for m in markets:
            yield from _line(f"{_PREFIX}{name}", m, {}, m["batch_span"][key])
    for name, (label, form, about) in _BY_LABEL.items():
        yield from _head(_named(name, form), form, about)
        for m in markets:
            for key, value in m[name].items():
                yield from _line(_named(name, form), m, {label: key}, value)
    for name, (form, about) in _PLAIN.items():
        yield from _head(_named(name, form), form, about)
        for m in markets:
            yield from _line(_named(name, form), m, {}, m[name])


def _quantiles(name: str, about: str, rows: Sequence[_Row]) -> Iterator[str]:
    """Gauges, not a summary: its count would have to rise for ever, and this one is of a window."""
    yield from _head(name, "gauge", about)
    for labels, said, market in rows:
        for key, quantile in _QUANTILES.items():
            yield from _line(name, market, labels | {"quantile": quantile}, said[key])


def _named(name: str, form: str) -> str:
    return f"{_PREFIX}{name}_total" if form == "counter" else f"{_PREFIX}{name}"


def _head(name: str, form: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {form}"


def _line(name: str, market: Mapping[str, Any], labels: Mapping[str, str], value: float | None) -> Iterator[str]:
    if value is not None:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in {"market": market["market"], **labels}.items())
        yield f"{name}{{{pairs}}} {_number(value)}"


def _number(value: Any) -> str:
    if isinstance(value, Integral):
        return str(int(value))
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _escaped(text: str) -> str:
    """As a label value: what no UTF-8 can say (half of a surrogate pair) as the text of its escape sequence."""
    sayable = text.encode("utf-8", "backslashreplace").decode()
    return sayable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
