"""
The simulated model without sockets: the bytes of a request in, the answer's status and bytes and its faults out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from agents.llm.wire.api import Request, digest_of
from simulators.model.answers.bad_decisions import corrupt_decision
from simulators.model.answers.bad_drafts import corrupt_draft
from simulators.model.answers.brain import draft_reply
from simulators.model.answers.drafts import Draft, cut_draft
from simulators.model.answers.replies import Stamp, build_body, corrupt_body, max_tokens
from simulators.model.answers.styles import StyleSequence
from simulators.model.answers.tokens import PrefixCache, prompt_of, prompt_tokens
from simulators.model.checks.acceptance import check_key, check_request
from simulators.model.errors import Refusal
from simulators.model.ledger import Ledger, LedgerEntry
from simulators.model.script import Script, TriggeredFault
from simulators.model.situation import Situation, is_thinking, situation_of

CONTEXT_TOKENS = 1_048_576  # as documented for the model

_SEED_OF_WORDS = 2  # see `styles._SEED_OF_STYLES`
# Status, message and type of each fault, as the server words them.
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
class IncomingRequest:
    """
    One request as it arrived.

    Attributes:
        path: without the host. authorization: the header, None without it; used once, to check the key.
        retry: the header with the library's retry count, None without it. at_ns: the time of arrival, ns UTC.
        raw: the bytes of the body.
    """

    path: str
    authorization: str | None = field(repr=False)
    retry: str | None
    at_ns: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, the bytes of the body, and extra headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Progress:
    """What is known of a request so far; the ledger's entry is built from it."""

    request: Any = None
    situation: Situation | None = None
    faults: Sequence[TriggeredFault] = ()
    draft: Draft | None = None
    usage: dict[str, Any] | None = None


class SimulatedModel:
    """
    A model with DeepSeek's API that answers by a few rules and a seed.

    Args:
        seed: of the random numbers; the same requests in the same order get the same answers.
        half_life: number of decisions for which its style lasts, see `StyleSequence`.
        script: the rules of faults, replaceable at any time; only requests that are accepted trigger faults.

    Attributes:
        ledger: the newest requests and their answers.
    """

    def __init__(self, seed: int = 1, half_life: float = 0.0, script: Script | None = None) -> None:
        self.script = script or Script()
        self.ledger = Ledger()
        self._seed = seed
        self._styles = StyleSequence(seed, half_life)
        self._cache = PrefixCache()
        self._number = 0

    def answer(self, incoming: IncomingRequest) -> tuple[Answer, Sequence[TriggeredFault]]:
        """The answer to a request and the faults that it triggered; adds the request to the ledger."""
        self._number += 1
        progress, refusal = _Progress(), None
        try:
            reply = Answer(200, self._reply(incoming, progress))
        except Refusal as error:
            refusal = error
        except RecursionError:
            refusal, progress.request = Refusal(400, "The request body is nested too deeply"), None
        if refusal is not None:
            wait = {"Retry-After": f"{refusal.retry_after_s:g}"} if refusal.retry_after_s else {}
            reply = Answer(refusal.status, msgspec.json.encode(refusal.body()), wait)
        self.ledger.add(self._ledger_entry(incoming, progress, reply.status, refusal), len(incoming.raw))
        return reply, progress.faults

    def _reply(self, incoming: IncomingRequest, progress: _Progress) -> bytes:
        check_key(incoming.authorization)
        try:
            progress.request = msgspec.json.decode(incoming.raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise Refusal(400, "Failed to parse the request body as JSON") from None
        request = check_request(progress.request, beta=incoming.path.startswith("/beta/"))
        situation = progress.situation = situation_of(request)
        progress.faults = self.script.trigger(situation)
        _raise_status_fault(progress.faults)
        prompt = prompt_of(request)
        tokens = prompt_tokens(prompt)
        if tokens + max_tokens(request) > CONTEXT_TOKENS:
            text = f"This model's maximum context length is {CONTEXT_TOKENS} tokens"
            raise Refusal(400, f"{text}, you requested {tokens + max_tokens(request)}", param="messages")
        hits = self._cache.hit_tokens(_owner(incoming.authorization, request), prompt)
        draft = corrupt_draft(corrupt_decision(self._draft(request, situation), progress.faults), progress.faults)
        draft = progress.draft = cut_draft(draft, max_tokens(request))
        body = build_body(request, draft, Stamp(self._seed, self._number, incoming.at_ns // 10**9), tokens, hits)
        progress.usage = body["usage"]
        return msgspec.json.encode(corrupt_body(body, progress.faults))

    def _draft(self, request: Request, situation: Situation) -> Draft:
        """The reply; without thinking and at temperature 0 equal requests get equal replies."""
        cold = request.get("temperature") == 0 and not is_thinking(request)
        number = int(digest_of(request)[:16], 16) if cold else self._number
        style = self._styles.first if cold or situation.step != "decision" else self._styles.draw()
        return draft_reply(request, situation, style, np.random.default_rng([self._seed, _SEED_OF_WORDS, number]))

    def _ledger_entry(
        self, incoming: IncomingRequest, progress: _Progress, status: int, refusal: Refusal | None
    ) -> LedgerEntry:
        situation, draft = progress.situation, progress.draft
        return LedgerEntry(
            number=self._number,
            at_ns=incoming.at_ns,
            path=incoming.path,
            retry=incoming.retry,
            status=status,
            refusal=None if refusal is None else refusal.message,
            agent=situation.agent if situation else None,
            step=situation.step if situation else None,
            thinking=situation.thinking if situation else None,
            language=situation.language if situation else None,
            faults=tuple(fault.name for fault in progress.faults),
            request=progress.request,
            finish_reason=draft.finish if draft else None,
            usage=progress.usage,
        )


def _raise_status_fault(faults: Sequence[TriggeredFault]) -> None:
    for fault in faults:
        if fault.definition.stage == "status":
            status, message, kind = _STATUSES[fault.name.removesuffix("_retry_after")]
            wait = fault.number("retry_after_s") if "retry_after_s" in fault.parameters else 0
            raise Refusal(status, message, kind, retry_after_s=wait)


def _owner(authorization: str | None, request: Request) -> bytes:
    """The owner of a prompt in the cache: the API key, and the user where the request names one."""
    owner = f"{authorization}\0{request.get('user_id', '')}"
    return blake2b(owner.encode("utf-8", "surrogatepass"), digest_size=16).digest()
