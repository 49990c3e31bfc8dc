"""
The types of a chat completion API: a request, a reply, and the outcome of one attempt.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from agents.llm.wire.shapes import normalise_message, normalise_usage, strip_mark

Request = dict[str, Any]
"""The JSON body of one `POST /chat/completions`, as it is sent."""

Verdict = Literal[
    "ok", "late", "timeout", "unreachable", "bad_request", "unauthorised", "no_balance", "rate_limited", "overloaded",
    "server_error", "not_json", "too_large", "no_choice", "blank", "aborted", "no_resource", "filtered", "no_budget",
]  # fmt: skip
"""The outcome of an attempt; only the reply of an `ok` one is used."""

MAX_REQUEST_BYTES = 256 * 1024
"""Most bytes of an encoded request; a longer one is neither sent (`too_large`) nor recorded."""

_MAX_TOKENS = 10_000_000  # ten times the longest context: a larger count is not plausible
_NAME = re.compile(r"[\w.:/@+-]{1,80}", re.ASCII)


def encode_request(request: Request) -> bytes:
    """Encode a request as the bytes that are sent and logged, and whose digest identifies it."""
    return msgspec.json.encode(request)


def digest_of(request: Request) -> str:
    """The digest that identifies a request."""
    return blake2b(encode_request(request), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Usage:
    """
    Tokens billed for one reply; cache_hit + cache_miss = prompt, reasoning is part of completion.

    All zero where a reply gives no usage or an implausible one.
    """

    prompt: int = 0
    cache_hit: int = 0
    cache_miss: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One parsed reply.

    Attributes:
        message: the assistant's message in the one shape that is used here and that every endpoint takes back.
        finish_reason: why it ended, "" where the reply does not say.
        model, fingerprint: the answering model in its own words; None where that is not a plain name.
        fixes: what was normalised, a word of `shapes.FIXES` each, none twice.
    """

    message: dict[str, Any]
    finish_reason: str
    model: str | None
    fingerprint: str | None
    usage: Usage
    fixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One attempt to send a request, and its outcome.

    Attributes:
        number: 1 for the first attempt. sent_ns: UTC ns. took_ms: until the reply was complete or the attempt aborted.
        status: of HTTP, None where no answer came. body: what came, cut to a bounded length, None where nothing did.
        detail: the fault in one line, never with a key in it.
        charge: what the budget counts: the reply's usage, the most it can have used where the reply was lost, nothing
            where nothing was sent or the provider refused.
    """

    request: Request
    number: int
    sent_ns: int
    took_ms: int
    verdict: Verdict
    detail: str = ""
    status: int | None = None
    body: str | None = None
    reply: Reply | None = None
    charge: Usage = Usage()


class UnreadableReply(ValueError):
    """A body that is not a chat completion; the message says what is wrong, without quoting it."""


class NoMessage(UnreadableReply):
    """A JSON body without a message."""


def read_reply(body: bytes | str, normalise: bool = True) -> Reply:
    """
    Parse the body of a 200 answer.

    Args:
        body: the answer's body.
        normalise: whether other endpoints' shapes are accepted too; False for a record made without that.

    Raises:
        UnreadableReply: it is not JSON (no UTF-8, too deep, numbers out of range).
        NoMessage: it is, but holds no message.
    """
    fixes: dict[str, None] = {}

    def note(fix: str) -> None:
        fixes[fix] = None

    fields = _decode(body, note if normalise else None)
    choices = fields.get("choices") if isinstance(fields, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise NoMessage("no message in it")
    finish_reason = _text(choice.get("finish_reason")) or ""
    usage = fields.get("usage")
    if normalise:
        try:
            message = normalise_message(message, finish_reason == "length", note)
        except RecursionError:
            raise UnreadableReply("not JSON: nested too deeply") from None
        usage = normalise_usage(usage, note)
    return Reply(
        message=message,
        finish_reason=finish_reason,
        model=_name(fields.get("model")),
        fingerprint=_name(fields.get("system_fingerprint")),
        usage=_usage(usage),
        fixes=tuple(fixes),
    )


def _decode(body: bytes | str, note: Callable[[str], None] | None) -> Any:
    try:
        if note is not None:
            body = strip_mark(body.decode() if isinstance(body, bytes) else body, note)
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise UnreadableReply(f"not JSON: {error}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deeply"
        raise UnreadableReply(f"not JSON: {reason}") from None


def _usage(fields: Any) -> Usage:
    if not isinstance(fields, dict):
        return Usage()
    prompt, completion = _count(fields.get("prompt_tokens")), _count(fields.get("completion_tokens"))
    if prompt is None or completion is None:
        return Usage()
    cache_hit = _count(fields.get("prompt_cache_hit_tokens"))
    if cache_hit is None:  # how other providers of the same API say it
        cache_hit = _count_in_details(fields, "prompt_tokens_details", "cached_tokens")
    cache_hit = min(cache_hit or 0, prompt)
    reasoning = _count_in_details(fields, "completion_tokens_details", "reasoning_tokens")
    return Usage(prompt, cache_hit, prompt - cache_hit, completion, min(reasoning or 0, completion))


def _count_in_details(usage: dict[str, Any], details: str, name: str) -> int | None:
    values = usage.get(details)
    return _count(values.get(name)) if isinstance(values, dict) else None


def _count(value: Any) -> int | None:
    plausible = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS
    return value if plausible else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None
