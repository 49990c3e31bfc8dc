"""The client and its account: what is not sent, what is charged, and that neither goes unrecorded."""

import pytest

from agents.llm.client.budget import Limits, max_usage
from agents.llm.wire.api import MAX_REQUEST_BYTES, Usage, encode_request
from agents.llm.wire.verdicts import Assessment
from tests.fakes.chat_endpoint import breaks_off, completion, says
from tests.unit.agents.llm.client.test_client import REQUEST, ask


@pytest.mark.parametrize(
    "retry_after",
    ["Mon, 01 Jan 2026 00:00:00 +99999999999999", "Mon, 01 Jan 0001 00:00:00 +2300", "1e400", "Mon, 99 Jan 2026 00:00"],
)
async def test_no_header_loses_the_record_of_an_attempt(retry_after: str) -> None:
    """A date that cannot be says nothing; what was paid for is recorded and counted."""
    outcome = await ask(says(completion(), Retry_After=retry_after))
    assert (outcome.said, outcome.tokens) == (["ok"], 110)


async def test_a_fault_of_our_own_in_reading_loses_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt is recorded and counted with its most."""

    def fail(status: int, body: bytes) -> Assessment:
        raise ArithmeticError(f"{status} {body!r}")

    monkeypatch.setattr("agents.llm.client.client.assess", fail)
    outcome = await ask(says(completion()), attempts=1)
    (attempt,) = outcome.attempts
    assert (attempt.verdict, attempt.detail, attempt.body) == ("not_json", "our own fault: ArithmeticError", "")
    assert outcome.tokens == max_usage(REQUEST).total


async def test_a_request_beyond_all_bounds_is_not_sent() -> None:
    """The longest that may is; one byte more is refused for good."""
    around = len(encode_request({**REQUEST, "user": ""}))
    longest = {**REQUEST, "user": "x" * (MAX_REQUEST_BYTES - around)}
    sent = await ask(says(completion()), request=longest)
    refusal = await ask(says(completion()), request={**longest, "user": longest["user"] + "x"})
    assert (sent.said, len(sent.endpoint.seen[0].body)) == (["ok"], 262_144)
    assert (refusal.endpoint.seen, refusal.tokens) == ([], 0)
    assert str(refusal.refusal) == "too_large: not sent: the request has 262145 bytes"
    assert [(attempt.verdict, attempt.charge) for attempt in refusal.attempts] == [("too_large", Usage())]


async def test_a_server_that_speaks_no_tls_is_told_as_such() -> None:
    """Not by a number that means something else to the system; nothing was sent."""
    outcome = await ask(says("{}"), attempts=1, url=lambda url: url.replace("http:", "https:"))
    assert str(outcome.refusal).startswith("unreachable: APIConnectionError: TLS: ")
    assert "Operation not permitted" not in str(outcome.refusal)
    assert (outcome.attempts[0].charge, outcome.endpoint.seen) == (Usage(), [])


async def test_nobody_listening_is_unreachable_and_free() -> None:
    """A refused connection is told without an address, and nothing is charged."""
    outcome = await ask(says("{}"), attempts=1, url=lambda _: "http://127.0.0.1:9")
    assert str(outcome.refusal) == "unreachable: APIConnectionError: Connection refused"
    assert (outcome.attempts[0].charge, outcome.tokens) == (Usage(), 0)


async def test_a_lost_reply_is_charged_with_the_most_it_can_have_taken() -> None:
    """And so is one without usage; a refusal costs nothing."""
    most = max_usage(REQUEST)
    aborted_outcome = await ask(breaks_off(before_headers=False), attempts=1)
    unsaid = await ask(says(completion(usage=None)))
    refusal = await ask(says("{}", 500), attempts=1)
    assert (aborted_outcome.attempts[0].charge, aborted_outcome.tokens) == (most, most.total)
    assert (unsaid.said, unsaid.tokens) == (["ok"], most.total)
    assert (refusal.attempts[0].charge, refusal.tokens) == (Usage(), 0)


async def test_without_budget_nothing_is_sent() -> None:
    """The attempt is recorded as not sent, with the limit that stopped it; what was taken before counts."""
    most = max_usage(REQUEST).total
    outcome = await ask(says(completion()), limits=Limits(tokens_per_day=most + 109), times=2)
    assert outcome.said == ["ok", "no_budget"]
    assert len(outcome.endpoint.seen) == 1
    assert (
        outcome.refusal.detail
        == f"not sent: tokens_per_day: 110 of {most + 109} taken, this request may take {most} more"
    )
