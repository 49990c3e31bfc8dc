"""
Every fault of the simulated model: its name, its effect, which replies can show it, its parameters.

Faults of different stages combine: a reply may be late, wrong in its decision, cut, and then broken on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from simulators.fault_rules import Value

Stage = Literal["delay", "status", "decision", "draft", "body", "wire"]
"""What a fault changes: the delay, the status (no answer), the decision, the message, its JSON, or the bytes sent."""

Where = Literal["any", "call", "decision", "thinking"]
"""Which replies can show it: all, those that call tools, those with a decision, those with reasoning."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    The definition of a fault.

    Attributes:
        effect: what happens, in one sentence. parameters: the default of each parameter, by its name.
        signed: whether numbers among them may be negative.
    """

    name: str
    stage: Stage
    effect: str
    where: Where = "any"
    parameters: Mapping[str, Value] = field(default_factory=dict)
    signed: bool = False


_ALL = (
    Fault("slow_first_byte", "delay", "Nothing is sent for some seconds, then the answer.",
          parameters={"seconds": 5.0}),
    Fault("keep_alive", "delay", "Headers, then blank lines for some seconds, then the answer.",
          parameters={"seconds": 3.0, "every_s": 0.2}),
    Fault("keep_alive_forever", "delay", "Headers, then blank lines until the server disconnects without an answer.",
          parameters={"seconds": 600.0, "every_s": 0.2}),
    Fault("http_400", "status", "400, the request is malformed."),
    Fault("http_401", "status", "401, the key is not accepted."),
    Fault("http_402", "status", "402, the balance is used up."),
    Fault("http_422", "status", "422, a parameter is not accepted."),
    Fault("http_429", "status", "429, too many requests, without a Retry-After header."),
    Fault("http_429_retry_after", "status", "429 with a Retry-After header.", parameters={"retry_after_s": 1.0}),
    Fault("http_500", "status", "500, the server failed."),
    Fault("http_503", "status", "503, the server is overloaded."),
    Fault("http_503_retry_after", "status", "503 with a Retry-After header.", parameters={"retry_after_s": 1.0}),
    Fault("off_grid_price", "decision", "A price lies between two ticks.", "decision"),
    Fault("invented_level", "decision", "A zone lies where there is no evidence.", "decision"),
    Fault("wrong_side", "decision", "A zone has the other side's name.", "decision"),
    Fault("weights_off", "decision", "The weights sum to more than one.", "decision"),
    Fault("negative_weight", "decision", "A weight is below zero.", "decision"),
    Fault("text_weight", "decision", "A weight is a word.", "decision"),
    Fault("nan_price", "decision", "A price is NaN, which is not valid JSON.", "decision"),
    Fault("negative_price", "decision", "A price is below zero.", "decision"),
    Fault("inverted_zone", "decision", "A zone's low is above its high.", "decision"),
    Fault("stale_reference", "decision", "The reference is the price of another moment.", "decision"),
    Fault("extra_fields", "decision", "The decision and its zones have extra fields.", "decision"),
    Fault("missing_field", "decision", "The decision has no stance.", "decision"),
    Fault("unknown_evidence", "decision", "A zone cites an evidence id that does not exist.", "decision"),
    Fault("no_evidence", "decision", "A zone cites no evidence.", "decision"),
    Fault("other_stance", "decision", "The stance contradicts the zones.", "decision"),
    Fault("empty_decision", "decision", "The decision is an empty object.", "decision"),
    Fault("prose_around", "draft", "The JSON stands between sentences.", "decision"),
    Fault("fenced", "draft", "The JSON stands in a Markdown fence.", "decision"),
    Fault("blank_content", "draft", "The content is nothing but spaces, with finish_reason stop."),
    Fault("content_filter", "draft", "The content is withheld, with finish_reason content_filter."),
    Fault("length", "draft", "The reply is cut in the middle, with finish_reason length."),
    Fault("aborted", "draft", "The reply is aborted half way, with 200 and finish_reason aborted."),
    Fault("insufficient_system_resource", "draft", "Resources run out half way, with 200 and that finish_reason."),
    Fault("calls_as_tokens", "draft", "Tool calls come as the model's own special tokens in the text.", "call"),
    Fault("calls_as_json_text", "draft", "Tool calls come as a JSON block in the text.", "call"),
    Fault("bad_arguments", "draft", "The arguments of a tool call are not JSON.", "call"),
    Fault("arguments_off_schema", "draft", "The arguments are JSON that the tool's schema forbids.", "call"),
    Fault("unknown_tool", "draft", "A tool is called that was not offered.", "call"),
    Fault("same_tool_twice", "draft", "A tool is called twice in one reply.", "call"),
    Fault("second_tool", "draft", "A second tool is called besides the one that was forced.", "call"),
    Fault("no_tool_call", "draft", "No tool is called, forced or free: the reply is a sentence.", "call"),
    Fault("no_reasoning", "draft", "A thinking reply comes without reasoning_content.", "thinking"),
    Fault("answer_in_reasoning", "draft", "The answer is in reasoning_content and the content is empty.", "thinking"),
    Fault("same_call_id", "body", "All tool calls of a reply have one id; a lone one has an empty id.", "call"),
    Fault("no_choices", "body", "The list of choices is empty."),
    Fault("choices_null", "body", "The choices are null."),
    Fault("message_null", "body", "The choice holds no message."),
    Fault("usage_missing", "body", "No usage is reported."),
    Fault("usage_absurd", "body", "The usage holds negative counts, text, and more cached tokens than sent."),
    Fault("wrong_model", "body", "Another model than requested has answered.", parameters={"model": "deepseek-lite"}),
    Fault("fingerprint_changes", "body", "The model under the alias is another one now.",
          parameters={"fingerprint": "fp_0123456789_changed"}),
    Fault("html_body", "wire", "The body is a web page."),
    Fault("huge_body", "wire", "The body is far too large.", parameters={"bytes": 10_000_000.0}),
    Fault("invalid_utf8", "wire", "The body holds bytes that are not UTF-8."),
    Fault("empty_body", "wire", "The body is empty."),
    Fault("truncated_body", "wire", "The connection ends in the middle of the body."),
    Fault("reset_before_headers", "wire", "The connection is reset before anything is sent."),
    Fault("reset_after_headers", "wire", "The connection is reset after the headers."),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
"""All faults by name, in the order in which they are applied."""


def describe_faults() -> str:
    """A line per fault: its name, its effect, its parameters with their defaults."""
    lines = []
    for fault in FAULTS.values():
        extra = "".join(f" [{name}={value}]" for name, value in fault.parameters.items())
        lines.append(f"{fault.name:<30}{fault.effect}{extra}")
    return "\n".join(lines)
