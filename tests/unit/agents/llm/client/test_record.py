"""An attempt as the decision log keeps it."""

import msgspec

from agents.llm.client.record import call_of
from agents.llm.wire.api import MAX_REQUEST_BYTES, Attempt, Request, digest_of, encode_request
from tests.unit.agents.llm.conversation.test_dialogue import VIEW

REQUEST: Request = {"model": "m", "messages": [{"role": "user", "content": "价格"}]}


def test_a_request_is_kept_as_it_was_sent() -> None:
    """The very text that its digest names."""
    call = call_of(Attempt(REQUEST, 1, 5, 6, "timeout"), VIEW, "deepseek", "static", "p", 7)
    assert call.request == encode_request(REQUEST).decode()
    assert (call.request_digest, call.sent_ns, call.took_ms, call.cost_usd_e12) == (digest_of(REQUEST), 5, 6, 7)


def test_a_request_that_was_too_large_is_kept_by_its_name_and_size() -> None:
    """The longest that may be sent is kept whole; one byte more is not."""
    longest = {**REQUEST, "user": "x" * (MAX_REQUEST_BYTES - len(encode_request({**REQUEST, "user": ""})))}
    longer = {**longest, "user": longest["user"] + "x"}
    request, cut = (call_of(Attempt(r, 1, 5, 0, "too_large"), VIEW, "a", "static", "p", 0) for r in (longest, longer))
    assert len(request.request) == MAX_REQUEST_BYTES - 4  # two letters of three bytes
    assert msgspec.json.decode(cut.request) == {"digest": digest_of(longer), "bytes": 262_145, "messages": []}
    assert cut.request_digest == digest_of(longer)
