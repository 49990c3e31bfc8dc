"""
The model client: one request, as many attempts as time and budget allow, and a record of each attempt.

Time is bounded from outside: `complete` ends at its deadline, whatever the server sends to keep the connection open. An
attempt still in flight then goes on for a grace period and is recorded as `late`: it was paid for and shows what the
model would have answered, but no decision uses it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from agents.llm.client.budget import Budget, max_usage
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.errors import PERMANENT, NoReply
from agents.llm.client.secret import Secret
from agents.llm.wire.api import (
    MAX_REQUEST_BYTES,
    Attempt,
    Reply,
    Request,
    Usage,
    Verdict,
    digest_of,
    encode_request,
)
from agents.llm.wire.complaints import describe_redirect
from agents.llm.wire.verdicts import STOPPING, Assessment, assess, is_worth_repeating, pause_s, retry_after_s
from eventlog.clock import Clock

if TYPE_CHECKING:
    from agents.llm.client.transport import Answer

_log = structlog.get_logger()

MAX_BYTES = 2 * 1024 * 1024
"""Most bytes of a reply's body; a longer one is aborted (`too_large`)."""

MAX_LOGGED_BYTES = 256 * 1024
"""Most bytes recorded of an unusable body; a usable one is recorded in full, so that it can be replayed."""

_STOPS: dict[Verdict, tuple[str, str]] = {
    "no_balance": (
        "the account has no balance left (HTTP 402)",
        "top it up and start again: until then nothing is sent",
    ),
    "unauthorised": (
        "the key was refused (HTTP 401)",
        "fix analyzer.deepseek.api_key and start again: until then nothing is sent",
    ),
}


@dataclass(slots=True)
class _Call:
    request: Request
    body: bytes
    digest: str
    max_usage: Usage
    until_ns: int
    deadline: float  # of the loop's clock
    on_attempt: Callable[[Attempt], None]
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class _Result:
    attempt: Attempt
    fault: Assessment
    retry_after_s: float | None = None


class ModelClient:
    """
    Sends requests to one endpoint within one budget. Belongs to the event loop it is first used in; its blocking calls,
    name lookups above all, then run in daemon threads (`dns`).

    Args:
        endpoint: the address, key and retry policy. budget: limits and counts usage.
        clock: stamps attempts; waiting uses the loop's own clock.
        logs: whether refusals are logged; a command prints them itself.

    Raises:
        BadProxy: the endpoint's proxy is not a proxy address, or would see the key.
    """

    def __init__(self, endpoint: Endpoint, budget: Budget, clock: Clock, logs: bool = True) -> None:
        from agents.llm.client.transport import Transport  # late: a run without a model does not load the library

        self._endpoint = endpoint
        self._key = Secret(endpoint.api_key)
        self._transport = Transport(endpoint.base_url, self._key, MAX_BYTES, proxy=endpoint.proxy)
        self._budget = budget
        self._clock = clock
        self._tasks: set[asyncio.Task[_Result]] = set()
        self._verdicts: Counter[Verdict] = Counter()
        self._stop_fault: Assessment | None = None
        self._trouble: str | None = None
        self._logs = logs
        self._closed = False

    @property
    def stop_reason(self) -> str | None:
        """Why no further request is sent and what to do, for the operator; None while requests may be sent."""
        return (
            f"{self._stop_fault.full_text}; {_STOPS[self._stop_fault.verdict][1]}"
            if self._stop_fault is not None
            else None
        )

    @property
    def trouble(self) -> str | None:
        """The server's last refusal, for the operator; None before the first and after a reply."""
        return self._trouble

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """The number of attempts by verdict."""
        return dict(sorted(self._verdicts.items()))

    @property
    def in_flight(self) -> int:
        """The number of attempts whose reply may still come, late ones included."""
        return len(self._tasks)

    async def complete(
        self,
        request: Request,
        until_ns: int,
        on_attempt: Callable[[Attempt], None],
        deadline: float | None = None,
    ) -> Reply:
        """
        Send a request, repeating it as long as that may help, and return the model's reply.

        Every attempt is passed to `on_attempt` exactly once, in the loop, when its outcome is known: also one that was
        not sent (`no_budget`, `too_large`, or after a stop), and one still in flight when this ends by its deadline or
        by cancellation. That one follows up to `grace_s` later, as `late` where a usable reply came; `close` ends the
        wait for it.

        Args:
            request: the JSON body to post.
            until_ns: UTC ns by which the caller goes on without a reply, whatever the server does.
            on_attempt: takes each attempt; must not block.
            deadline: the same moment by the loop's own clock, which never steps; where given it counts instead of
                until_ns, for all requests of a conversation alike. None: computed from until_ns.

        Raises:
            NoReply: no usable reply came; its verdict is the last attempt's, `timeout` where the deadline passed.
        """
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + (until_ns - self._clock.now_ns()) / 1e9
        body, digest, maximum = encode_request(request), digest_of(request), max_usage(request)
        call = _Call(request, body, digest, maximum, until_ns, deadline, on_attempt)
        number = 1
        while True:
            result = await self._attempt(call, number)
            attempt = result.attempt
            if attempt.verdict == "ok" and attempt.reply is not None:
                return attempt.reply
            pause = self._pause_s(call, result)
            if pause is None:
                raise _no_reply(attempt, result.fault)
            await asyncio.sleep(pause)
            number += 1

    async def close(self) -> None:
        """Abort the attempts in flight, recording them, and close the connections."""
        self._closed = True
        await asyncio.sleep(0)  # a task cancelled before its first step would record nothing
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.close()

    async def _attempt(self, call: _Call, number: int) -> _Result:
        sent_ns = self._clock.now_ns()
        remaining_s = call.deadline - asyncio.get_running_loop().time()
        refusal = self._refusal(call, remaining_s, sent_ns)
        if refusal is not None:
            detail = f"not sent: {self.stop_reason}" if self.stop_reason is not None else refusal.detail
            attempt = Attempt(call.request, number, sent_ns, 0, refusal.verdict, detail)
            return _Result(self._record(call, attempt), refusal)
        self._budget.reserve(call.max_usage, sent_ns, call.until_ns)
        task = asyncio.create_task(self._send(call, number, sent_ns))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._on_done(call, done))
        try:
            done, _ = await asyncio.wait({task}, timeout=remaining_s)
        except asyncio.CancelledError:
            call.abandoned = True
            raise
        if not done:
            call.abandoned = True
            raise NoReply("timeout", "no reply before the deadline")
        return task.result()

    def _refusal(self, call: _Call, remaining_s: float, now_ns: int) -> Assessment | None:
        if self._stop_fault is not None:
            return replace(self._stop_fault, detail=f"not sent: {'; '.join(_STOPS[self._stop_fault.verdict])}")
        if remaining_s <= 0 or self._closed:
            return Assessment("timeout", f"not sent: {'the client was closed' if self._closed else 'no time left'}")
        if len(call.body) > MAX_REQUEST_BYTES:
            return Assessment("too_large", f"not sent: the request has {len(call.body)} bytes")
        budget_refusal = self._budget.refusal(call.max_usage, now_ns, call.until_ns)
        return Assessment("no_budget", f"not sent: {budget_refusal}") if budget_refusal is not None else None

    async def _send(self, call: _Call, number: int, sent_ns: int) -> _Result:
        from agents.llm.client.transport import Answer

        loop = asyncio.get_running_loop()
        answer, started_s, abort_reason = Answer(), loop.time(), ""
        try:
            async with asyncio.timeout_at(max(call.deadline, started_s) + self._endpoint.grace_s):
                await self._transport.post(call.body, answer)
        except TimeoutError:
            abort_reason = "no whole reply, not even in the grace period"
        except asyncio.CancelledError:
            abort_reason = "given up: the client was closed"
        late = call.abandoned or loop.time() > call.deadline
        assessment, body = self._assess(answer, abort_reason)
        if late and assessment.verdict == "ok":
            assessment = Assessment("late", "came after the deadline", assessment.reply)
        charge = _usage_to_charge(assessment, answer.was_sent, answer.status, call.max_usage)
        self._budget.settle(call.max_usage, charge, sent_ns, call.until_ns)
        attempt = Attempt(
            request=call.request,
            number=number,
            sent_ns=sent_ns,
            took_ms=round((loop.time() - started_s) * 1000),
            verdict=assessment.verdict,
            detail=assessment.full_text,
            status=answer.status,
            body=_body_to_log(body, assessment.verdict) if answer.status is not None else None,
            reply=assessment.reply,
            charge=charge,
        )
        self._update_trouble(assessment, answer.status)
        self._record(call, attempt)
        return _Result(attempt, assessment, retry_after_s(answer.retry_after, self._clock.now_ns))

    def _assess(self, answer: "Answer", abort_reason: str) -> tuple[Assessment, bytes]:
        # never raises: an attempt that was paid for is recorded, whatever came back
        try:
            body = self._key.scrub(bytes(answer.body))
            if answer.is_complete and answer.status is not None:
                assessment = assess(answer.status, body)
                return (
                    replace(assessment, server_text=describe_redirect(answer.location))
                    if _is_redirect(answer)
                    else assessment
                ), body
            return _assess_incomplete(answer, abort_reason), body
        except Exception as error:
            _log.error("an answer could not be judged", fault=type(error).__name__)
            return Assessment("not_json", f"our own fault: {type(error).__name__}"), b""
        finally:
            answer.body.clear()  # not scrubbed of the key: must not stay in memory

    def _record(self, call: _Call, attempt: Attempt) -> Attempt:
        self._verdicts[attempt.verdict] += 1
        call.on_attempt(attempt)
        return attempt

    def _on_done(self, call: _Call, task: asyncio.Task[_Result]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if call.abandoned and error is not None:
            _log.error("attempt not recorded", reason=type(error).__name__)

    def _update_trouble(self, assessment: Assessment, status: int | None) -> None:
        """Keep the last refusal for the operator, and log it once."""
        if assessment.verdict in ("ok", "late"):
            self._trouble = None
        elif assessment.verdict in STOPPING and self._stop_fault is None:
            self._stop_fault = Assessment(
                assessment.verdict, _STOPS[assessment.verdict][0], server_text=assessment.server_text
            )
            self._trouble = self.stop_reason
            if self._logs:
                _log.error("no further request is sent", reason=self._trouble)
        elif status is not None and assessment.full_text != self._trouble:
            self._trouble = assessment.full_text
            if self._logs and (assessment.verdict in PERMANENT or assessment.server_text):
                _log.warning("the model's server refuses", reason=self._trouble)

    def _pause_s(self, call: _Call, result: _Result) -> float | None:
        attempt = result.attempt
        if self._closed or attempt.number >= self._endpoint.attempts:
            return None
        if not is_worth_repeating(attempt.verdict, attempt.reply):
            return None
        pause = pause_s(attempt.number, call.digest, result.retry_after_s)
        remaining_s = call.deadline - asyncio.get_running_loop().time()
        return pause if pause < remaining_s else None


def _no_reply(attempt: Attempt, fault: Assessment) -> NoReply:
    verdict: Verdict = "timeout" if attempt.verdict == "late" else attempt.verdict
    detail = f"HTTP {attempt.status}" if verdict == "bad_request" else fault.detail
    return NoReply(verdict, detail, fault.server_text, attempt.status)  # callers publish all but the server's text


def _is_redirect(answer: "Answer") -> bool:
    return answer.status is not None and 300 <= answer.status < 400


def _assess_incomplete(answer: "Answer", abort_reason: str) -> Assessment:
    status = answer.status
    if abort_reason:
        return Assessment("timeout", abort_reason)
    if status is not None and status != 200:
        server_text = describe_redirect(answer.location) if _is_redirect(answer) else ""
        return Assessment(
            assess(status, b"").verdict, f"HTTP {status}, and its body broke off", server_text=server_text
        )
    return Assessment(answer.verdict or "unreachable", answer.fault or "the connection broke off")


def _usage_to_charge(assessment: Assessment, was_sent: bool, status: int | None, maximum: Usage) -> Usage:
    if not was_sent or (status is not None and status != 200):
        return Usage()  # no provider bills what it refused
    return assessment.reply.usage if assessment.reply is not None and assessment.reply.usage.prompt else maximum


def _body_to_log(body: bytes, verdict: Verdict) -> str:
    part = body if verdict in ("ok", "late") else body[:MAX_LOGGED_BYTES]
    return part.decode("utf-8", errors="replace")
