"""
What is measured, as text for Prometheus; pure.

Source: Prometheus text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX = "liquidity_collector_"
_QUANTILES = {"p50_ms": "0.5", "p95_ms": "0.95", "p99_ms": "0.99"}
_LATENCIES = {
    "event_latency": "receive time less the venue's event time, over the last five minutes",
    "pipeline_latency": "time in the log less receive time, over the last five minutes",
}
_BY_LABEL = {
    "receive_rate_per_s": ("stream", "gauge", "messages a second over the last five minutes"),
    "received": ("stream", "counter", "messages received since the start"),
    "stored": ("kind", "counter", "facts stored since the start"),
}
_PLAIN = {
    "connects": ("counter", "connections opened"),
    "disconnects": ("counter", "connections ended"),
    "reconnects": ("counter", "connections opened after the first"),
    "resyncs": ("counter", "times the book had to be built anew"),
    "quarantined": ("counter", "messages that could not be read"),
    "queue_depth": ("gauge", "facts in memory that are not in the log yet"),
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
    """The metrics of some markets, each as `collector.metrics.measured` gives them."""
    return "\n".join(_lines(markets)) + "\n"


def _lines(markets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name, about in _LATENCIES.items():
        rows = [({"stream": stream}, said, m) for m in markets for stream, said in m[name].items()]
        yield from _quantiles(f"{_PREFIX}{name}_ms", about, rows)
    spans: list[_Row] = [({}, m["batch_span"], m) for m in markets]
    yield from _quantiles(f"{_PREFIX}batch_span_ms", "first to last receive time of a stored batch", spans)
    for name, (label, form, about) in _BY_LABEL.items():
        yield from _head(_named(name, form), form, about)
        for m in markets:
            for key, value in m[name].items():
                yield _line(_named(name, form), m, {label: key}, value)
    for name, (form, about) in _PLAIN.items():
        yield from _head(_named(name, form), form, about)
        for m in markets:
            yield _line(_named(name, form), m, {}, m[name])


def _quantiles(name: str, about: str, rows: Sequence[_Row]) -> Iterator[str]:
    """Gauges, not a summary: its count would have to rise for ever, and this one is of a window."""
    yield from _head(name, "gauge", about)
    for labels, said, market in rows:
        for key, quantile in _QUANTILES.items():
            if said[key] is not None:
                yield _line(name, market, labels | {"quantile": quantile}, said[key])


def _named(name: str, form: str) -> str:
    return f"{_PREFIX}{name}_total" if form == "counter" else f"{_PREFIX}{name}"


def _head(name: str, form: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {form}"


def _line(name: str, market: Mapping[str, Any], labels: Mapping[str, str], value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in {"market": market["market"], **labels}.items())
    return f"{name}{{{pairs}}} {float(value) if isinstance(value, float) else int(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
