"""
Every fault of the simulated exchange: its name, what triggers it, its effect, its parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from simulators.fault_rules import Value

Place = Literal["step", "connect", "message", "request"]
"""What triggers a fault: a step of 100 ms, a client that connects, a message on a stream, a REST request."""

Stream = Literal["trades", "diffs", "slow_diffs", "other"]
"""The kind of a stream: aggTrades, diffs every 100 ms, diffs every second, anything else in a recording."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    The definition of a fault.

    Attributes:
        effect: what happens, in one sentence.
        parameters: the default of each parameter, by its name.
        signed: whether numbers among them may be negative.
        path: the one path whose requests trigger it; empty for any.
    """

    name: str
    place: Place
    effect: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    signed: bool = False
    path: str = ""


_ALL = (
    Fault("agg_id_jump", "step", "Agg ids from here on are higher, on the stream and over REST; trade ids run on.",
          {"by": 10.0}),
    Fault("update_id_jump", "step", "Update ids from here on are higher, in diffs and snapshots: U does not follow u.",
          {"by": 100.0}),
    Fault("clock_skew", "step", "The exchange's clock is off: in E and T of messages, and in /time.", {"ms": 5_000.0},
          signed=True),
    Fault("clock_drift", "step", "The exchange's clock drifts from here on.", {"ms_per_s": 100.0},
          signed=True),
    Fault("symbol_status", "step", "Trading stops and exchangeInfo says so (0 steps: until the status is TRADING).",
          {"status": "HALT", "steps": 100.0}),
    Fault("refused_connection", "connect", "The WebSocket handshake is refused.",
          {"status": 503.0, "retry_after_s": 0.0}),
    Fault("age_limit", "connect", "The connection is closed at this age, as Binance's is at 24 h.",
          {"seconds": 86_400.0}),
    Fault("disconnect_clean", "message", "In place of the message the connection is closed, with a close frame.",
          {"code": 1001.0, "reason": ""}),
    Fault("disconnect_abrupt", "message", "In place of the message the connection is reset (TCP RST)."),
    Fault("half_open", "message", "From the message on nothing is sent: no data, no ping, no pong, no close."),
    Fault("stall", "message", "The streams fall silent from the message on while pings go on (0 s: for good).",
          {"streams": "all", "seconds": 0.0}),
    Fault("server_shutdown", "message", "A serverShutdown event before the message; the connection is closed later.",
          {"seconds": 10.0}),
    Fault("unknown_event", "message", "An event of an unknown type comes before the message.", {"event": "tideTable"}),
    Fault("other_symbol", "message", "The message comes once more before itself, about another symbol.",
          {"symbol": "ETHFDUSD"}),
    Fault("binary_noise", "message", "A binary frame of noise comes before the message.", {"bytes": 64.0}),
    Fault("missing", "message", "The message is not sent; a trade is in REST all the same unless everywhere is 1.",
          {"everywhere": 0.0}),
    Fault("reordered", "message", "The message comes after the next ones of its stream.", {"messages": 1.0}),
    Fault("delayed", "message", "The message comes later; others may overtake it.", {"seconds": 1.0}),
    Fault("duplicate", "message", "The message comes more than once.", {"copies": 2.0}),
    Fault("json_numbers", "message", "Prices and quantities are JSON numbers instead of text."),
    Fault("giant_message", "message", "The message has this length, filled with blanks.", {"bytes": 10_000_000.0}),
    Fault("malformed_json", "message", "The message is not valid JSON: a colon is replaced."),
    Fault("truncated_json", "message", "The message is cut off.", {"part": 0.5}),
    Fault("invalid_utf8", "message", "The message, a binary frame, holds bytes that are not UTF-8."),
    Fault("binary_frame", "message", "The message comes as a binary frame."),
    Fault("http_429", "request", "429, too many requests.", {"retry_after_s": 1.0}),
    Fault("http_418", "request", "418, banned.", {"retry_after_s": 2.0}),
    Fault("http_5xx", "request", "A server error.", {"status": 503.0}),
    Fault("timeout", "request", "There is no answer; later the connection is reset.", {"seconds": 30.0}),
    Fault("reset", "request", "The connection is reset before anything is answered."),
    Fault("html_body", "request", "A web page, with status 200."),
    Fault("empty_body", "request", "No body, with status 200."),
    Fault("cut_json", "request", "The body is cut in the middle, with a Content-Length that matches.", {"part": 0.5}),
    Fault("truncated_body", "request", "The connection ends in the middle of the body.", {"part": 0.5}),
    Fault("slow_answer", "request", "The answer is as of the request, but comes later.", {"seconds": 3.0}),
    Fault("stale_trades", "request", "aggTrades lacks the newest trades.", {"trades": 100.0},
          path="aggTrades"),
    Fault("wrong_from_id", "request", "aggTrades begins later than asked for, as truncated history does.",
          {"skip": 1_000.0}, path="aggTrades"),
    Fault("empty_page", "request", "aggTrades answers with an empty list.", path="aggTrades"),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
"""All faults by name, in the order in which they are applied."""


def describe_faults() -> str:
    """A line per fault: its name, its place, its effect, its parameters with their defaults."""
    lines = []
    for fault in FAULTS.values():
        extra = "".join(f" [{name}={_format_value(value)}]" for name, value in fault.parameters.items())
        lines.append(f"{fault.name:<20}{fault.place:<9}{fault.effect}{extra}")
    return "\n".join(lines)


def _format_value(value: Value) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.10g}"
