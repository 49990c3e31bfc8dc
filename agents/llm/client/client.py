"""
Asking a model: one request, as many attempts as time and budget allow, and a record of each.

Time is bounded from outside: `complete` ends at the moment it is given, whatever the server sends to keep the line
open. What is in flight then goes on for a grace period and is recorded as `late`: it was paid for, and says what the
model would have answered, but nobody acts on it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from agents.llm.client.budget import Budget, most_taken
from agents.llm.client.errors import LASTING, NoReply
from agents.llm.client.secret import Secret
from agents.llm.wire.api import (
    MAX_REQUEST_BYTES,
    Attempt,
    Reply,
    Request,
    Usage,
    Verdict,
    digest_of,
    rendered,
)
from agents.llm.wire.complaints import moved_to
from agents.llm.wire.verdicts import STOPPING, Judged, is_worth_repeating, judged, pause_s, retry_after_s
from eventlog.clock import Clock

if TYPE_CHECKING:
    from agents.llm.client.transport import Answer

_log = structlog.get_logger()

MAX_BYTES = 2 * 1024 * 1024
"""Of a reply's body; a longer one is given up."""

KEPT_BYTES = 256 * 1024
"""Of a body that cannot be used; one that can is kept whole, so that it can be read again."""

_STOPS: dict[Verdict, tuple[str, str]] = {
    "no_balance": (
        "the account has no balance left (HTTP 402)",
        "top it up and start again: until then nothing is sent",
    ),
    "unauthorised": (
        "the key was refused (HTTP 401)",
        "mend analyzer.deepseek.api_key and start again: until then nothing is sent",
    ),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    Where a model answers, and how patiently it is asked.

    Attributes:
        attempts: most times one request is sent. grace_s: how long a reply is awaited after its caller has gone on.
        proxy: the http(s) address of a proxy, with user and password where it wants them; None for the straight way.
    """

    base_url: str
    api_key: str = field(repr=False)
    attempts: int = 3
    grace_s: float = 30.0
    proxy: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class _Call:
    request: Request
    body: bytes
    digest: str
    most: Usage
    until_ns: int
    deadline: float  # of the loop's clock
    on_attempt: Callable[[Attempt], None]
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class _Flown:
    attempt: Attempt
    fault: Judged
    retry_after_s: float | None = None


class ModelClient:
    """
    Asks one endpoint within one budget. Belongs to the event loop it is first used in, whose blocking calls, lookups of
    names above all, it has made in threads that hold up nothing (`lookups`).

    Args:
        clock: stamps attempts; waiting goes by the loop's own clock.
        logs: whether refusals are written to the log; a command tells them in its own lines.

    Raises:
        BadProxy: the endpoint's proxy is no address of one, or would see the key.
    """

    def __init__(self, endpoint: Endpoint, budget: Budget, clock: Clock, logs: bool = True) -> None:
        from agents.llm.client.transport import Transport  # late: a run without a model does not load the library

        self._endpoint = endpoint
        self._key = Secret(endpoint.api_key)
        self._transport = Transport(endpoint.base_url, self._key, MAX_BYTES, proxy=endpoint.proxy)
        self._budget = budget
        self._clock = clock
        self._flying: set[asyncio.Task[_Flown]] = set()
        self._verdicts: Counter[Verdict] = Counter()
        self._stopped: Judged | None = None
        self._trouble: str | None = None
        self._logs = logs
        self._closed = False

    @property
    def stopped(self) -> str | None:
        """Why no request is sent any more and what to do, for the operator; None while all is well."""
        return f"{self._stopped.in_full}; {_STOPS[self._stopped.verdict][1]}" if self._stopped is not None else None

    @property
    def trouble(self) -> str | None:
        """What the server said when it refused last, for the operator; None where it replied since."""
        return self._trouble

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many attempts came to what."""
        return dict(sorted(self._verdicts.items()))

    @property
    def in_flight(self) -> int:
        """Attempts whose reply may still come, late ones included."""
        return len(self._flying)

    async def complete(
        self,
        request: Request,
        until_ns: int,
        on_attempt: Callable[[Attempt], None],
        deadline: float | None = None,
    ) -> Reply:
        """
        The model's reply to a request.

        Every attempt is handed to `on_attempt` exactly once, in the loop, when it is known what came of it: also one
        that was not sent (`no_budget`, `too_large`, or after a stop), and one that is still in flight when this ends,
        whether by its deadline or because its task was cancelled. That one comes up to `grace_s` later, as `late` where
        a usable reply came. Call `close` to end the wait for those.

        Args:
            until_ns: when the caller goes on without a reply, by the clock; kept whatever the server does.
            deadline: the same by the loop's own clock, which never steps; where given it rules, for all the requests
                of a conversation alike.

        Raises:
            NoReply: none came; its verdict is the last attempt's, `timeout` where the deadline passed.
        """
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + (until_ns - self._clock.now_ns()) / 1e9
        body, digest, most = rendered(request), digest_of(request), most_taken(request)
        call = _Call(request, body, digest, most, until_ns, deadline, on_attempt)
        number = 1
        while True:
            flown = await self._attempt(call, number)
            attempt = flown.attempt
            if attempt.verdict == "ok" and attempt.reply is not None:
                return attempt.reply
            pause = self._pause_s(call, flown)
            if pause is None:
                raise _no_reply(attempt, flown.fault)
            await asyncio.sleep(pause)
            number += 1

    async def close(self) -> None:
        """Give up what is in flight, recording it, and give the connections back."""
        self._closed = True
        await asyncio.sleep(0)  # a task cancelled before its first step would record nothing
        flying = list(self._flying)
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)
        await self._transport.close()

    async def _attempt(self, call: _Call, number: int) -> _Flown:
        sent_ns = self._clock.now_ns()
        left = call.deadline - asyncio.get_running_loop().time()
        refused = self._refusal(call, left, sent_ns)
        if refused is not None:
            detail = f"not sent: {self.stopped}" if self.stopped is not None else refused.detail
            attempt = Attempt(call.request, number, sent_ns, 0, refused.verdict, detail)
            return _Flown(self._recorded(call, attempt), refused)
        self._budget.reserve(call.most, sent_ns, call.until_ns)
        task = asyncio.create_task(self._fly(call, number, sent_ns))
        self._flying.add(task)
        task.add_done_callback(lambda done: self._landed(call, done))
        try:
            done, _ = await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError:
            call.abandoned = True
            raise
        if not done:
            call.abandoned = True
            raise NoReply("timeout", "no reply before the deadline")
        return task.result()

    def _refusal(self, call: _Call, left: float, now_ns: int) -> Judged | None:
        if self._stopped is not None:
            return replace(self._stopped, detail=f"not sent: {'; '.join(_STOPS[self._stopped.verdict])}")
        if left <= 0 or self._closed:
            return Judged("timeout", f"not sent: {'the client was closed' if self._closed else 'no time left'}")
        if len(call.body) > MAX_REQUEST_BYTES:
            return Judged("too_large", f"not sent: the request has {len(call.body)} bytes")
        spent = self._budget.refusal(call.most, now_ns, call.until_ns)
        return Judged("no_budget", f"not sent: {spent}") if spent is not None else None

    async def _fly(self, call: _Call, number: int, sent_ns: int) -> _Flown:
        from agents.llm.client.transport import Answer

        loop = asyncio.get_running_loop()
        answer, started, given_up = Answer(), loop.time(), ""
        try:
            async with asyncio.timeout_at(max(call.deadline, started) + self._endpoint.grace_s):
                await self._transport.post(call.body, answer)
        except TimeoutError:
            given_up = "no whole reply, not even in the grace period"
        except asyncio.CancelledError:
            given_up = "given up: the client was closed"
        late = call.abandoned or loop.time() > call.deadline
        found, body = self._heard(answer, given_up)
        if late and found.verdict == "ok":
            found = Judged("late", "came after the deadline", found.reply)
        charged = _charged(found, answer.was_sent, answer.status, call.most)
        self._budget.settle(call.most, charged, sent_ns, call.until_ns)
        attempt = Attempt(
            request=call.request,
            number=number,
            sent_ns=sent_ns,
            took_ms=round((loop.time() - started) * 1000),
            verdict=found.verdict,
            detail=found.in_full,
            status=answer.status,
            body=_kept(body, found.verdict) if answer.status is not None else None,
            reply=found.reply,
            charged=charged,
        )
        self._take_note(found, answer.status)
        self._recorded(call, attempt)
        return _Flown(attempt, found, retry_after_s(answer.retry_after, self._clock.now_ns))

    def _heard(self, answer: "Answer", given_up: str) -> tuple[Judged, bytes]:
        # never raises: what was paid for is recorded, whatever it brought
        try:
            body = self._key.scrub(bytes(answer.body))
            if answer.whole and answer.status is not None:
                found = judged(answer.status, body)
                return (replace(found, said=moved_to(answer.location)) if _is_redirect(answer) else found), body
            return _broken_off(answer, given_up), body
        except Exception as error:
            _log.error("an answer could not be judged", fault=type(error).__name__)
            return Judged("not_json", f"our own fault: {type(error).__name__}"), b""
        finally:
            answer.body.clear()  # unscrubbed: nobody may come upon it later

    def _recorded(self, call: _Call, attempt: Attempt) -> Attempt:
        self._verdicts[attempt.verdict] += 1
        call.on_attempt(attempt)
        return attempt

    def _landed(self, call: _Call, task: asyncio.Task[_Flown]) -> None:
        self._flying.discard(task)
        error = None if task.cancelled() else task.exception()
        if call.abandoned and error is not None:
            _log.error("attempt not recorded", reason=type(error).__name__)

    def _take_note(self, found: Judged, status: int | None) -> None:
        """Remember what the operator must know, and say it once."""
        if found.verdict in ("ok", "late"):
            self._trouble = None
        elif found.verdict in STOPPING and self._stopped is None:
            self._stopped = Judged(found.verdict, _STOPS[found.verdict][0], said=found.said)
            self._trouble = self.stopped
            if self._logs:
                _log.error("no further request is sent", reason=self._trouble)
        elif status is not None and found.in_full != self._trouble:
            self._trouble = found.in_full
            if self._logs and (found.verdict in LASTING or found.said):
                _log.warning("the model's server refuses", reason=self._trouble)

    def _pause_s(self, call: _Call, flown: _Flown) -> float | None:
        attempt = flown.attempt
        if self._closed or attempt.number >= self._endpoint.attempts:
            return None
        if not is_worth_repeating(attempt.verdict, attempt.reply):
            return None
        pause = pause_s(attempt.number, call.digest, flown.retry_after_s)
        left = call.deadline - asyncio.get_running_loop().time()
        return pause if pause < left else None


def _no_reply(attempt: Attempt, fault: Judged) -> NoReply:
    verdict: Verdict = "timeout" if attempt.verdict == "late" else attempt.verdict
    detail = f"HTTP {attempt.status}" if verdict == "bad_request" else fault.detail
    return NoReply(verdict, detail, fault.said, attempt.status)  # callers publish all but what the server said


def _is_redirect(answer: "Answer") -> bool:
    return answer.status is not None and 300 <= answer.status < 400


def _broken_off(answer: "Answer", given_up: str) -> Judged:
    status = answer.status
    if given_up:
        return Judged("timeout", given_up)
    if status is not None and status != 200:
        said = moved_to(answer.location) if _is_redirect(answer) else ""
        return Judged(judged(status, b"").verdict, f"HTTP {status}, and its body broke off", said=said)
    return Judged(answer.verdict or "unreachable", answer.fault or "the connection broke off")


def _charged(found: Judged, was_sent: bool, status: int | None, most: Usage) -> Usage:
    if not was_sent or (status is not None and status != 200):
        return Usage()  # no provider bills what it refused
    return found.reply.usage if found.reply is not None and found.reply.usage.prompt else most


def _kept(body: bytes, verdict: Verdict) -> str:
    kept = body if verdict in ("ok", "late") else body[:KEPT_BYTES]
    return kept.decode("utf-8", errors="replace")
