"""
The words of a chat completion API: a request, a reply, and what came of one attempt to get it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from agents.llm.wire.shapes import mended_message, mended_usage, without_mark

Request = dict[str, Any]
"""The JSON body of one `POST /chat/completions`, as it is sent."""

Verdict = Literal[
    "ok", "late", "timeout", "unreachable", "bad_request", "unauthorised", "no_balance", "rate_limited", "overloaded",
    "server_error", "not_json", "too_large", "no_choice", "blank", "aborted", "no_resource", "filtered", "no_budget",
]  # fmt: skip
"""What came of an attempt; only the reply of an `ok` one is ever read further."""

MAX_REQUEST_BYTES = 256 * 1024
"""Of a request as rendered; a longer one is not sent (`too_large`) and not kept."""

_MAX_TOKENS = 10_000_000  # ten times the longest context: beyond it a count is no count
_NAME = re.compile(r"[\w.:/@+-]{1,80}", re.ASCII)


def rendered(request: Request) -> bytes:
    """A request as the bytes that are logged and whose digest names it."""
    return msgspec.json.encode(request)


def digest_of(request: Request) -> str:
    """The name of a request: equal requests have equal names."""
    return blake2b(rendered(request), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Usage:
    """
    Tokens one reply was billed for; cache_hit + cache_miss = prompt, reasoning is part of completion.

    All zero where a reply does not say, or says what cannot be.
    """

    prompt: int = 0
    cache_hit: int = 0
    cache_miss: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All tokens."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One reply, read.

    Attributes:
        message: the assistant's message in the one shape that is read on, and that every endpoint takes back.
        finish_reason: why it ended.
        model, fingerprint: who says it answered; None where that is not a plain name.
        mends: what was mended to get there, a word of `shapes.MENDS` each, none twice.
    """

    message: dict[str, Any]
    finish_reason: str
    model: str | None
    fingerprint: str | None
    usage: Usage
    mends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One request sent, and what came of it.

    Attributes:
        number: 1 for the first time this request was sent. took_ms: until the reply was whole, or given up.
        status: of HTTP, None where no answer came. body: what came, cut to a bounded length, None where nothing did.
        detail: the fault in one line, never with a key in it.
        charged: what the budget counts for it: the reply's usage, the most it can have taken where the reply was
            lost, nothing where nothing was sent or the provider refused.
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
    charged: Usage = Usage()


class UnreadableReply(ValueError):
    """A body that is no chat completion; the message says what is wrong, without quoting it."""


class NoMessage(UnreadableReply):
    """A body that is JSON but holds no message."""


def read_reply(body: bytes | str, mend: bool = True) -> Reply:
    """
    A reply from the body of a 200 answer.

    Args:
        mend: whether shapes of other endpoints are read as well; not where a record was made without.

    Raises:
        UnreadableReply: it is not JSON (no UTF-8, too deep, numbers out of range).
        NoMessage: it is, but holds no message.
    """
    mends: dict[str, None] = {}

    def note(word: str) -> None:
        mends[word] = None

    found = _decoded(body, note if mend else None)
    choices = found.get("choices") if isinstance(found, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise NoMessage("no message in it")
    finish_reason = _text(first.get("finish_reason")) or ""
    usage = found.get("usage")
    if mend:
        try:
            message = mended_message(message, finish_reason == "length", note)
        except RecursionError:
            raise UnreadableReply("not JSON: nested too deeply") from None
        usage = mended_usage(usage, note)
    return Reply(
        message=message,
        finish_reason=finish_reason,
        model=_name(found.get("model")),
        fingerprint=_name(found.get("system_fingerprint")),
        usage=_usage(usage),
        mends=tuple(mends),
    )


def _decoded(body: bytes | str, note: Callable[[str], None] | None) -> Any:
    try:
        if note is not None:
            body = without_mark(body.decode() if isinstance(body, bytes) else body, note)
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise UnreadableReply(f"not JSON: {error}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        why = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deeply"
        raise UnreadableReply(f"not JSON: {why}") from None


def _usage(found: Any) -> Usage:
    if not isinstance(found, dict):
        return Usage()
    prompt, completion = _count(found.get("prompt_tokens")), _count(found.get("completion_tokens"))
    if prompt is None or completion is None:
        return Usage()
    hit = _count(found.get("prompt_cache_hit_tokens"))
    if hit is None:  # how other providers of the same API say it
        hit = _within(found, "prompt_tokens_details", "cached_tokens")
    hit = min(hit or 0, prompt)
    reasoning = _within(found, "completion_tokens_details", "reasoning_tokens")
    return Usage(prompt, hit, prompt - hit, completion, min(reasoning or 0, completion))


def _within(usage: dict[str, Any], details: str, name: str) -> int | None:
    found = usage.get(details)
    return _count(found.get(name)) if isinstance(found, dict) else None


def _count(value: Any) -> int | None:
    plausible = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS
    return value if plausible else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None
