"""The client against real sockets: what each answer amounts to, what is tried again, what never leaves."""

import gzip
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import structlog

from agents.llm.client.budget import Budget, Limits
from agents.llm.client.client import MAX_BYTES, MAX_LOGGED_BYTES, ModelClient
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.errors import NoReply
from agents.llm.client.prices import PeakHours, PriceList
from agents.llm.wire.api import Attempt, Reply, Request, Usage, digest_of, encode_request, read_reply
from eventlog.clock import WallClock
from tests.fakes.chat_endpoint import KEY, ChatEndpoint, Step, breaks_off, completion, says, serving

REQUEST: Request = {
    "model": "deepseek-flash",
    "messages": [{"role": "user", "content": "价格 “zones” €"}],
    "max_tokens": 100,
    "thinking": {"type": "disabled"},
    "temperature": 0.2,
}


@dataclass
class Asked:
    """What a request came to."""

    attempts: list[Attempt] = field(default_factory=list)
    outcome: Reply | NoReply | None = None
    endpoint: ChatEndpoint = field(default_factory=ChatEndpoint)
    verdicts: dict[Any, int] = field(default_factory=dict)
    stopped: str | None = None
    trouble: str | None = None
    tokens: int = 0

    @property
    def said(self) -> list[str]:
        """The verdicts in order."""
        return [attempt.verdict for attempt in self.attempts]

    @property
    def refusal(self) -> NoReply:
        """Why there was no reply."""
        assert isinstance(self.outcome, NoReply)
        return self.outcome


def a_budget(limits: Limits | None = None) -> Budget:
    """A budget of one model without a price."""
    return Budget(limits or Limits(), PriceList({}, PeakHours()), "deepseek-flash")


async def ask(
    *script: Step,
    attempts: int = 3,
    seconds: float = 5.0,
    limits: Limits | None = None,
    url: Callable[[str], str] = lambda url: url,
    times: int = 1,
    request: Request = REQUEST,
) -> Asked:
    """Put one request, or the same several times, to an endpoint that follows a script."""
    clock, budget, session = WallClock(), a_budget(limits), Asked()
    async with serving(*script) as session.endpoint:
        client = ModelClient(Endpoint(url(session.endpoint.base_url), KEY, attempts, 0.2), budget, clock)
        for _ in range(times):
            try:
                until_ns = clock.now_ns() + int(seconds * 1e9)
                session.outcome = await client.complete(request, until_ns, session.attempts.append)
            except NoReply as refusal:
                session.outcome = refusal
        session.tokens = budget.totals(clock.now_ns())["tokens_today"]
        await client.close()
        session.verdicts, session.stopped, session.trouble = dict(client.verdicts), client.stop_reason, client.trouble
    return session


async def test_a_good_reply_is_read_and_recorded() -> None:
    """Message, reason, model, fingerprint and usage; the recorded body reads as the same reply again."""
    session = await ask(says(completion("你好")))
    (attempt,) = session.attempts
    assert session.outcome == Reply(
        {"role": "assistant", "content": "你好"}, "stop", "deepseek-flash", "fp_1", Usage(100, 64, 36, 10, 0)
    )
    assert attempt.reply == session.outcome
    assert attempt.body is not None
    assert read_reply(attempt.body) == session.outcome
    assert (attempt.verdict, attempt.status, attempt.number, attempt.detail) == ("ok", 200, 1, "")
    assert attempt.charge == Usage(100, 64, 36, 10, 0)
    assert (session.tokens, session.verdicts) == (110, {"ok": 1})


async def test_the_wire_carries_the_very_bytes_the_digest_names() -> None:
    """No field is added, dropped or reordered, and the key travels in one header alone."""
    session = await ask(says(completion()))
    (seen,) = session.endpoint.seen
    assert seen.body == encode_request(REQUEST)
    assert digest_of(msgspec.json.decode(seen.body)) == digest_of(REQUEST)
    names = {name.lower() for name in seen.headers}
    assert names == {
        "host", "accept", "accept-encoding", "connection", "content-type", "content-length", "authorization",
        "user-agent",
    }  # fmt: skip
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.headers["Accept-Encoding"] == "identity"


async def test_the_environment_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither another account's names and headers nor a proxy are taken from it."""
    for name, value in {
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "proj-1",
        "OPENAI_ADMIN_KEY": "admin-1",
        "OPENAI_API_KEY": "sk-other",
        "OPENAI_BASE_URL": "http://127.0.0.1:9",
        "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer other\nX-More: 1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    session = await ask(says(completion()))
    (seen,) = session.endpoint.seen
    assert session.said == ["ok"]
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert not {"openai-organization", "openai-project", "x-more"} & {name.lower() for name in seen.headers}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        (says("{}", 429), "rate_limited"),
        (says("{}", 503), "overloaded"),
        (says("oops", 500), "server_error"),
        (says("oops", 502), "server_error"),
        (says("{}", 408), "timeout"),
        (breaks_off(before_headers=True), "unreachable"),
        (breaks_off(before_headers=False), "unreachable"),
        (says(completion(finish_reason="aborted")), "aborted"),
        (says(completion(finish_reason="insufficient_system_resource")), "no_resource"),
        (says(completion(" \n\t ")), "blank"),
        (says(completion(None)), "blank"),
        (says("<html>"), "not_json"),
        (says(b""), "not_json"),
        (says(b'{"choices":["\xff"]}'), "not_json"),
        (says(b"[" * 100_000), "not_json"),
        (says(gzip.compress(b"{}"), Content_Encoding="gzip"), "not_json"),
        (says({"choices": []}), "no_choice"),
        (says({"choices": None}), "no_choice"),
        (says({"error": {"message": "x"}}), "no_choice"),
        (says([]), "no_choice"),
    ],
)
async def test_passing_faults_are_tried_again(step: Step, verdict: str) -> None:
    """Once more, after a pause; the second attempt brings the reply."""
    session = await ask(step, says(completion()))
    assert session.said == [verdict, "ok"]
    assert [attempt.number for attempt in session.attempts] == [1, 2]
    assert isinstance(session.outcome, Reply)
    assert 0.3 < session.endpoint.seen[1].at - session.endpoint.seen[0].at < 1.5


@pytest.mark.parametrize(
    ("step", "verdict", "detail"),
    [
        (says({"error": {"message": "no\nsuch  field"}}, 400), "bad_request", "HTTP 400"),
        (says("<html>", 422), "bad_request", "HTTP 422"),
        (says("{}", 404), "bad_request", "HTTP 404"),
        (says("", 302, Location="/elsewhere"), "bad_request", "HTTP 302"),
        (says(completion(finish_reason="content_filter")), "filtered", "finish_reason content_filter"),
        (
            says(completion("", finish_reason="length")),
            "blank",
            "neither text nor a tool call; max_tokens were used up",
        ),
        (says(b" " * (MAX_BYTES + 1)), "too_large", f"the body is longer than {MAX_BYTES} bytes"),
    ],
)
async def test_lasting_faults_are_not(step: Step, verdict: str, detail: str) -> None:
    """The same request would fare no better."""
    session = await ask(step, says(completion()))
    assert session.said == [verdict]
    assert (session.refusal.verdict, session.refusal.detail) == (verdict, detail)
    assert len(session.endpoint.seen) == 1


async def test_what_a_refusal_says_is_recorded_without_what_moves_a_cursor() -> None:
    """In the server's words for who looks into the log; what callers publish is ours alone."""
    session = await ask(says({"error": {"message": "no\x1b[31m such\u202e\u200b\x00field\n"}}, 400))
    (attempt,) = session.attempts
    assert attempt.detail == "HTTP 400: no [31m such field"
    assert str(session.refusal) == "bad_request: HTTP 400"


async def test_a_refusal_is_logged_once_and_known_until_a_reply_comes() -> None:
    """The operator reads the server's reason when it comes up and when it changes, not every minute."""
    refused_once, other = says({"error": {"message": "no model"}}, 404), says({"error": {"message": "no path"}}, 404)
    with structlog.testing.capture_logs() as lines:
        session = await ask(refused_once, refused_once, other, times=4)
    assert [line["reason"] for line in lines] == ["HTTP 404: no model", "HTTP 404: no path"]
    assert {line["event"] for line in lines} == {"the model's server refuses"}
    assert session.trouble == "HTTP 404: no path"
    assert (await ask(refused_once, says(completion()), times=2)).trouble is None


@pytest.mark.parametrize("status", [200, 429, 500])
async def test_what_a_server_says_of_itself_is_logged_once(status: int) -> None:
    """Also where the same request may pass the next time, or where it calls its error a success."""
    with structlog.testing.capture_logs() as lines:
        await ask(says({"error": {"message": "busy\x1b[2J"}}, status), attempts=1, times=3)
    logged_lines = "no message in it" if status == 200 else f"HTTP {status}"
    assert [line["reason"] for line in lines] == [f"{logged_lines}: busy [2J"]


async def test_a_refusal_that_breaks_off_is_told_by_its_number() -> None:
    """Like a whole one."""
    session = await ask(says(b"x" * (MAX_BYTES + 1), 400), attempts=1)
    assert session.attempts[0].detail == "HTTP 400, and its body broke off"
    assert str(session.refusal) == "bad_request: HTTP 400"


@pytest.mark.parametrize("status", [200, 400])
async def test_a_body_that_is_cut_off_leaves_nothing_to_the_garbage_collector(status: int) -> None:
    """It would end a generator in a task of a loop that may be about to end: "Task was destroyed but it is pending"."""
    first_byte: list[Any] = []
    hooks = sys.get_asyncgen_hooks()

    def note(generator: Any) -> None:
        first_byte.append(generator)
        if hooks.firstiter is not None:
            hooks.firstiter(generator)

    sys.set_asyncgen_hooks(firstiter=note)
    try:
        await ask(says(b" " * (MAX_BYTES + 1), status), attempts=1)
    finally:
        sys.set_asyncgen_hooks(*hooks)
    remaining = [generator.__qualname__ for generator in first_byte if generator.ag_frame is not None]
    assert "_Capped.__aiter__" in {generator.__qualname__ for generator in first_byte}
    assert [name for name in remaining if name.startswith(("_Capped", "AsyncResponseStream"))] == []


async def test_tool_calls_without_text_are_a_reply() -> None:
    """Blank content is a fault only where there is no call."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    session = await ask(says(completion("", message={"tool_calls": [call]}, finish_reason="tool_calls")))
    assert session.said == ["ok"]


async def test_attempts_are_bounded() -> None:
    """After the last one the fault is told."""
    session = await ask(says("{}", 503), attempts=2)
    assert session.said == ["overloaded", "overloaded"]
    assert str(session.refusal) == "overloaded: HTTP 503"
    assert session.verdicts == {"overloaded": 2}


@pytest.mark.parametrize(("status", "verdict"), [(401, "unauthorised"), (402, "no_balance")])
async def test_what_a_person_must_mend_stops_all_requests(status: int, verdict: str) -> None:
    """One request, one line in the log; later ones are recorded but not sent."""
    with structlog.testing.capture_logs() as lines:
        session = await ask(says({"error": {"message": f"bad {KEY}"}}, status), times=3)
    assert len(session.endpoint.seen) == 1
    assert session.said == [verdict] * 3
    assert [attempt.status for attempt in session.attempts] == [status, None, None]
    assert session.attempts[1].detail == f"not sent: {session.stopped}"
    assert session.stopped is not None
    assert f"HTTP {status}" in session.stopped
    assert lines == [{"event": "no further request is sent", "reason": session.stopped, "log_level": "error"}]


async def test_retry_after_is_honoured_where_it_fits() -> None:
    """A second asked for is a second waited."""
    session = await ask(says("{}", 429, Retry_After="1"), says(completion()))
    assert session.said == ["rate_limited", "ok"]
    assert 1.0 <= session.endpoint.seen[1].at - session.endpoint.seen[0].at < 1.5


async def test_retry_after_beyond_the_deadline_ends_at_once() -> None:
    """Nobody waits for what cannot come in time."""
    session = await ask(says("{}", 429, Retry_After="60"))
    assert (session.said, session.refusal.verdict) == (["rate_limited"], "rate_limited")


async def test_an_unusable_body_is_kept_cut_and_a_usable_one_whole() -> None:
    """What failed is for looking at; what succeeded must read the same again."""
    long = "x" * (MAX_LOGGED_BYTES + 1000)
    cut = await ask(says(long, 500), attempts=1)
    usable = await ask(says(completion(long)))
    assert cut.attempts[0].body == "x" * MAX_LOGGED_BYTES
    assert usable.attempts[0].body is not None
    assert read_reply(usable.attempts[0].body) == usable.outcome
