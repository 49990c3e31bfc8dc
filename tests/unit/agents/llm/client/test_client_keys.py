"""The client and its key: whatever a server echoes, it is kept nowhere."""

import logging
import traceback

import msgspec
import pytest

from agents.llm.client.client import ModelClient
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.errors import NoReply
from agents.llm.client.secret import SCRUBBED
from agents.llm.wire.api import Attempt, Reply
from eventlog.clock import WallClock
from tests.fakes.chat_endpoint import KEY, Step, after, completion, says, serving
from tests.unit.agents.llm.client.test_client import REQUEST, a_budget, ask

ECHOES: dict[str, Step] = {
    "in the text": says(completion(f"your key is {KEY}")),
    "escaped": says(msgspec.json.encode(completion("KEY")).replace(b"KEY", KEY.encode().replace(b"s", b"\\u0073"))),
    "in an error": says({"error": {"message": f"Bearer {KEY} is wrong"}}, 400),
    "in a header": says("{}", 500, X_Echo=KEY, Retry_After=KEY),
    "in the reason": says(completion(finish_reason=KEY, message={KEY: KEY})),
    "in the midst": after(0.0, says(f"<html>{KEY}".encode() * 3)),
}


@pytest.mark.parametrize("step", ECHOES.values(), ids=ECHOES.keys())
async def test_a_key_that_is_echoed_is_kept_nowhere(
    step: Step, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in attempts, replies, exceptions, the client's own words or any log at its loudest."""
    caplog.set_level(logging.DEBUG)
    outcome = await ask(step, attempts=1)
    texts = [repr(outcome.attempts), repr(outcome.outcome), repr(Endpoint("u", KEY)), caplog.text, *capfd.readouterr()]
    if isinstance(outcome.outcome, NoReply):
        texts += traceback.format_exception(outcome.outcome)
    assert len(outcome.attempts) == 1
    assert KEY not in "".join(texts)
    assert KEY.removeprefix("s") not in "".join(texts)


async def test_no_local_name_holds_a_key_that_is_echoed() -> None:
    """Where the recorder fails, a traceback that prints what names held prints none."""

    def fail(_: Attempt) -> None:
        raise RuntimeError("disk")

    clock = WallClock()
    async with serving(says(completion(KEY), Retry_After=KEY)) as endpoint:
        client = ModelClient(Endpoint(endpoint.base_url, KEY), a_budget(), clock)
        with pytest.raises(RuntimeError, match="disk") as caught:
            await client.complete(REQUEST, clock.now_ns() + 5 * 10**9, fail)
        await client.close()
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    frame_locals = [repr(frame.f_locals) for frame in frames if frame.f_code.co_filename.endswith("client/client.py")]
    assert len(frame_locals) >= 3
    assert SCRUBBED in "".join(frame_locals)
    assert KEY not in "".join(frame_locals)


async def test_a_scrubbed_reply_says_where_the_key_stood() -> None:
    """The rest of the text is untouched."""
    outcome = await ask(ECHOES["in the text"])
    assert isinstance(outcome.outcome, Reply)
    assert outcome.outcome.message["content"] == f"your key is {SCRUBBED}"
