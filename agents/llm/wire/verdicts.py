"""
The verdict on an answer, and whether and when the same request is worth repeating.

Source: DeepSeek, error codes, JSON output and chat completion pages (November 2026).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from agents.llm.wire.api import NoMessage, Reply, UnreadableReply, Verdict, read_reply
from agents.llm.wire.complaints import complaint

RETRYABLE: frozenset[Verdict] = frozenset(
    {
        "rate_limited", "overloaded", "server_error", "unreachable", "timeout",
        "aborted", "no_resource", "blank", "not_json", "no_choice",
    }
)  # fmt: skip
"""Passing faults: the same request may succeed a moment later."""

STOPPING: frozenset[Verdict] = frozenset({"no_balance", "unauthorised"})
"""Faults that need manual action; no request is sent until then."""

# What a status means for the next attempt.
_OF_STATUS: dict[int, Verdict] = {
    401: "unauthorised",
    402: "no_balance",
    408: "timeout",
    429: "rate_limited",
    503: "overloaded",
}
_OF_FINISH: dict[str, Verdict] = {
    "aborted": "aborted",
    "insufficient_system_resource": "no_resource",
    "content_filter": "filtered",
}
_FIRST_PAUSE_S = 0.5  # doubled at each further attempt
_LONGEST_PAUSE_S = 8.0  # a tick lasts a minute: a longer pause would leave no time for an answer
_SPREAD = 0.25  # share of a pause by which requests are spread


@dataclass(frozen=True, slots=True)
class Assessment:
    """
    The verdict on an answer.

    Attributes:
        detail: the fault without the server's text. server_text: one printable line, for the operator alone.
        reply: None where none could be read; may be there with any verdict.
    """

    verdict: Verdict
    detail: str = ""
    reply: Reply | None = None
    server_text: str = ""

    @property
    def full_text(self) -> str:
        """The fault with the server's text."""
        return f"{self.detail}: {self.server_text}" if self.server_text else self.detail


def assess(status: int, body: bytes) -> Assessment:
    """Assess a complete answer by its HTTP status and body."""
    if status != 200:
        other: Verdict = "server_error" if status >= 500 else "bad_request"
        return Assessment(_OF_STATUS.get(status, other), f"HTTP {status}", server_text=complaint(body))
    try:
        reply = read_reply(body)
    except NoMessage as error:
        return Assessment("no_choice", str(error), server_text=complaint(body))
    except UnreadableReply as error:
        return Assessment("not_json", str(error), server_text=complaint(body))
    verdict = _OF_FINISH.get(reply.finish_reason)
    if verdict is not None:
        return Assessment(verdict, f"finish_reason {reply.finish_reason}", reply)
    if _is_blank(reply):
        hint = "; max_tokens were used up" if reply.finish_reason == "length" else ""
        return Assessment("blank", f"neither text nor a tool call{hint}", reply, complaint(body))
    return Assessment("ok", "", reply)


def is_worth_repeating(verdict: Verdict, reply: Reply | None) -> bool:
    """Whether the same request may succeed; one that used up its tokens without an answer will not."""
    return verdict in RETRYABLE and not (verdict == "blank" and reply is not None and reply.finish_reason == "length")


def pause_s(number: int, digest: str, retry_after_s: float | None) -> float:
    """
    Seconds to wait after an attempt: doubling, spread by the request's digest, never less than the server asks for.

    Args:
        number: of the attempt that failed, from 1.
        digest: of the request, hexadecimal.
        retry_after_s: what the server asks for, None where it does not.
    """
    backoff_s = min(_FIRST_PAUSE_S * 2 ** (number - 1), _LONGEST_PAUSE_S)
    spread = 1 - _SPREAD * int(digest[:4], 16) / 0xFFFF
    return max(backoff_s * spread, retry_after_s or 0.0)


def retry_after_s(text: str | None, now_ns: Callable[[], int]) -> float | None:
    """Parse a Retry-After header, seconds or a date, to seconds from now; None where it cannot be read."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
            seconds = until.replace(tzinfo=until.tzinfo or UTC).timestamp() - now_ns() / 1e9
        except (ValueError, OverflowError, TypeError):  # days, hours and zones that do not exist
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _is_blank(reply: Reply) -> bool:
    content, calls = reply.message.get("content"), reply.message.get("tool_calls")
    return not (isinstance(content, str) and content.strip()) and not (isinstance(calls, list) and calls)
