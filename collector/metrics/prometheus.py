"""
Metrics as text for Prometheus; pure.

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
_SINGLE_VALUES = {
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


def to_text(markets: Sequence[Mapping[str, Any]]) -> str:
    """
    Format the metrics of some markets, each as `collector.metrics.metrics.measure_market` returns them.

    A value of None has no line. A series stands once: of two markets with the same name the last one counts.
    """
    by_series = {line if line.startswith("#") else line.rpartition(" ")[0]: line for line in _metric_lines(markets)}
    return "\n".join(by_series.values()) + "\n"


def _metric_lines(markets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name, help_text in _LATENCIES.items():
        rows = [({"stream": stream}, figures, market) for market in markets for stream, figures in market[name].items()]
        yield from _quantile_lines(f"{_PREFIX}{name}_ms", help_text, rows)
    spans: list[_Row] = [({}, market["batch_time_span"], market) for market in markets]
    yield from _quantile_lines(f"{_PREFIX}batch_time_span_ms", "first to last receive time of a stored batch", spans)
    for key, (name, help_text) in _SPAN.items():
        yield from _head_lines(f"{_PREFIX}{name}", "gauge", help_text)
        for market in markets:
            yield from _sample_lines(f"{_PREFIX}{name}", market, {}, market["batch_span"][key])
    for name, (label, metric_type, help_text) in _BY_LABEL.items():
        yield from _head_lines(_metric_name(name, metric_type), metric_type, help_text)
        for market in markets:
            for key, value in market[name].items():
                yield from _sample_lines(_metric_name(name, metric_type), market, {label: key}, value)
    for name, (metric_type, help_text) in _SINGLE_VALUES.items():
        yield from _head_lines(_metric_name(name, metric_type), metric_type, help_text)
        for market in markets:
            yield from _sample_lines(_metric_name(name, metric_type), market, {}, market[name])


def _quantile_lines(name: str, help_text: str, rows: Sequence[_Row]) -> Iterator[str]:
    """Gauges, not a summary: a summary's count must never fall, and these are of a window."""
    yield from _head_lines(name, "gauge", help_text)
    for labels, figures, market in rows:
        for key, quantile in _QUANTILES.items():
            yield from _sample_lines(name, market, labels | {"quantile": quantile}, figures[key])


def _metric_name(name: str, metric_type: str) -> str:
    return f"{_PREFIX}{name}_total" if metric_type == "counter" else f"{_PREFIX}{name}"


def _head_lines(name: str, metric_type: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} {metric_type}"


def _sample_lines(
    name: str, market: Mapping[str, Any], labels: Mapping[str, str], value: float | None
) -> Iterator[str]:
    if value is not None:
        pairs = ",".join(f'{key}="{_escape(text)}"' for key, text in {"market": market["market"], **labels}.items())
        yield f"{name}{{{pairs}}} {_format_number(value)}"


def _format_number(value: Any) -> str:
    if isinstance(value, Integral):
        return str(int(value))
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _escape(text: str) -> str:
    """Escape a label value; what UTF-8 cannot encode (half of a surrogate pair) becomes its escape sequence as text."""
    encodable = text.encode("utf-8", "backslashreplace").decode()
    return encodable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
