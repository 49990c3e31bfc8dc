"""
The simulated model without its sockets: bytes of a request in, the answer's status and bytes and its faults out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from agents.llm.wire.api import Request, digest_of
from simulators.model.answers.bad_decisions import spoil_decision
from simulators.model.answers.bad_drafts import spoil_draft
from simulators.model.answers.brain import answer
from simulators.model.answers.drafts import Draft, cut
from simulators.model.answers.replies import Stamp, body_of, most_tokens, spoil_body
from simulators.model.answers.styles import Moods
from simulators.model.answers.tokens import PrefixCache, prompt_of, prompt_tokens
from simulators.model.checks.acceptance import check_key, check_request
from simulators.model.errors import Refusal
from simulators.model.ledger import Ledger, Line
from simulators.model.script import Script, Struck
from simulators.model.situation import Situation, is_thinking, situation_of

CONTEXT_TOKENS = 1_048_576

_SEED_OF_WORDS = 2
_STATUSES: Mapping[str, tuple[int, str, str]] = {
    "http_400": (400, "Invalid request body format", "invalid_request_error"),
    "http_401": (401, "Authentication Fails, your api key is invalid", "authentication_error"),
    "http_402": (402, "Insufficient Balance", "unknown_error"),
    "http_422": (422, "Failed to deserialize the JSON body into the target type", "invalid_request_error"),
    "http_429": (429, "Rate limit reached, please pace your requests", "rate_limit_error"),
    "http_500": (500, "Internal server error", "internal_server_error"),
    "http_503": (503, "Service is too busy, please try again later", "service_unavailable_error"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One request as it arrived.

    Attributes:
        path: without the host. authorization: the header, for the one check of it. retry: the library's retry count.
    """

    path: str
    authorization: str | None = field(repr=False)
    retry: str | None
    at_ns: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the body's bytes, and headers besides the usual."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Taken:
    """What became known of a request on its way; the ledger's line is made of it."""

    request: Any = None
    situation: Situation | None = None
    struck: Sequence[Struck] = ()
    draft: Draft | None = None
    usage: dict[str, Any] | None = None


class SimulatedModel:
    """
    A DeepSeek that thinks with a few rules and a seed.

    Args:
        seed: decides everything that is said, given the requests in their order.
        half_life: decisions for which its style lasts, see `Moods`.
        script: the faults, replaceable at any time; they strike accepted requests only.
    """

    def __init__(self, seed: int = 1, half_life: float = 0.0, script: Script | None = None) -> None:
        self.script = script or Script()
        self.ledger = Ledger()
        self._seed = seed
        self._moods = Moods(seed, half_life)
        self._cache = PrefixCache()
        self._number = 0

    def take(self, asked: Asked) -> tuple[Answer, Sequence[Struck]]:
        """The answer to a request, and the faults that are left for the wire; the ledger has it from now on."""
        self._number += 1
        taken, refusal = _Taken(), None
        try:
            given = Answer(200, self._accepted(asked, taken))
        except Refusal as error:
            refusal = error
        except RecursionError:
            refusal, taken.request = Refusal(400, "The request body is nested too deeply"), None
        if refusal is not None:
            wait = {"Retry-After": f"{refusal.retry_after_s:g}"} if refusal.retry_after_s else {}
            given = Answer(refusal.status, msgspec.json.encode(refusal.body()), wait)
        self.ledger.add(self._line(asked, taken, given.status, refusal), len(asked.raw))
        return given, taken.struck

    def _accepted(self, asked: Asked, taken: _Taken) -> bytes:
        check_key(asked.authorization)
        try:
            taken.request = msgspec.json.decode(asked.raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise Refusal(400, "Failed to parse the request body as JSON") from None
        request = check_request(taken.request, beta=asked.path.startswith("/beta/"))
        situation = taken.situation = situation_of(request)
        taken.struck = self.script.due(situation)
        _refuse_if_struck(taken.struck)
        prompt = prompt_of(request)
        tokens = prompt_tokens(prompt)
        if tokens + most_tokens(request) > CONTEXT_TOKENS:
            text = f"This model's maximum context length is {CONTEXT_TOKENS} tokens"
            raise Refusal(400, f"{text}, you requested {tokens + most_tokens(request)}", param="messages")
        hits = self._cache.hit_tokens(_owner(asked.authorization, request), prompt)
        draft = spoil_draft(spoil_decision(self._say(request, situation), taken.struck), taken.struck)
        draft = taken.draft = cut(draft, most_tokens(request))
        body = body_of(request, draft, Stamp(self._seed, self._number, asked.at_ns // 10**9), tokens, hits)
        taken.usage = body["usage"]
        return msgspec.json.encode(spoil_body(body, taken.struck))

    def _say(self, request: Request, situation: Situation) -> Draft:
        """A draft; at temperature 0, which thinking ignores, equal requests get equal drafts."""
        cold = request.get("temperature") == 0 and not is_thinking(request)
        drawn = int(digest_of(request)[:16], 16) if cold else self._number
        style = self._moods.first if cold or situation.step != "decision" else self._moods.draw()
        return answer(request, situation, style, np.random.default_rng([self._seed, _SEED_OF_WORDS, drawn]))

    def _line(self, asked: Asked, taken: _Taken, status: int, refusal: Refusal | None) -> Line:
        seen, draft = taken.situation, taken.draft
        return Line(
            number=self._number,
            at_ns=asked.at_ns,
            path=asked.path,
            retry=asked.retry,
            status=status,
            refusal=None if refusal is None else refusal.message,
            agent=seen.agent if seen else None,
            step=seen.step if seen else None,
            thinking=seen.thinking if seen else None,
            language=seen.language if seen else None,
            faults=tuple(each.fault.name for each in taken.struck),
            request=taken.request,
            finish_reason=draft.finish if draft else None,
            usage=taken.usage,
        )


def _refuse_if_struck(struck: Sequence[Struck]) -> None:
    for each in struck:
        if each.fault.stage == "status":
            status, message, kind = _STATUSES[each.fault.name.removesuffix("_retry_after")]
            wait = each.number("retry_after_s") if "retry_after_s" in each.parameters else 0
            raise Refusal(status, message, kind, retry_after_s=wait)


def _owner(authorization: str | None, request: Request) -> bytes:
    """Whose prompts share a cache: a key's, and a user's where one is named."""
    named = f"{authorization}\0{request.get('user_id', '')}"
    return blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).digest()
