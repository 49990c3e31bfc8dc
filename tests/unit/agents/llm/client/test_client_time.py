"""The client and time: deadlines that hold, replies that come late, callers that go away."""

import asyncio

import pytest

from agents.llm.client.budget import Budget, Limits, max_usage
from agents.llm.client.client import ModelClient
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.errors import NoReply
from agents.llm.client.prices import PeakHours, PriceList
from agents.llm.wire.api import Attempt, Request, Usage
from eventlog.clock import ManualClock
from tests.fakes.chat_endpoint import KEY, Step, after, blank_lines, breaks_off, completion, says, serving

REQUEST: Request = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 10}
NOW_NS = 1_800_000_000_000_000_000
USAGE = Usage(100, 64, 36, 10, 0)


class Asking:
    """A client of an endpoint, and what it recorded."""

    def __init__(self, base_url: str, grace_s: float) -> None:
        self.budget = Budget(Limits(), PriceList({}, PeakHours()), "m")
        self.client = ModelClient(Endpoint(base_url, KEY, grace_s=grace_s), self.budget, ManualClock(NOW_NS))
        self.attempts: list[Attempt] = []

    async def ask(self, seconds: float) -> float:
        """Ask once; returns how long it took until it was refused."""
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        with pytest.raises(NoReply, match=r"^timeout: no reply before the deadline$"):
            await self.client.complete(REQUEST, NOW_NS + int(seconds * 1e9), self.attempts.append)
        return loop.time() - start_s

    async def settle(self) -> None:
        """Wait until nothing is in flight."""
        async with asyncio.timeout(5):
            while self.client.in_flight:
                await asyncio.sleep(0.01)

    @property
    def tokens(self) -> int:
        """Counted today."""
        return self.budget.totals(NOW_NS)["tokens_today"]


async def _keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    "step",
    [
        blank_lines(30, 0.05),
        blank_lines(30, 0.4),
        after(30, says(completion())),
    ],
    ids=["blanks", "slow blanks", "silence"],
)
async def test_nothing_a_server_sends_stretches_the_deadline(step: Step) -> None:
    """Kept within half a second; the lost reply is recorded once and counted with the most it can have taken."""
    async with serving(step) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=0.3)
        took = await asking.ask(0.6)
        assert 0.55 <= took <= 1.1
        assert asking.attempts == []
        await asking.settle()
        (attempt,) = asking.attempts
        assert (attempt.verdict, attempt.detail) == ("timeout", "no whole reply, not even in the grace period")
        assert 850 <= attempt.took_ms <= 1400
        assert asking.tokens == max_usage(REQUEST).total
        await asking.client.close()


async def test_a_reply_held_up_by_blank_lines_is_a_reply() -> None:
    """As long as it comes in time."""
    async with serving(blank_lines(0.3, 0.05, completion())) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=0.1)
        reply = await asking.client.complete(REQUEST, NOW_NS + 5 * 10**9, asking.attempts.append)
        assert reply.message["content"] == "hello"
        assert [attempt.verdict for attempt in asking.attempts] == ["ok"]
        await asking.client.close()


async def test_a_late_reply_is_recorded_and_charged_but_not_used() -> None:
    """The caller has gone on; what came is what it would have said."""
    async with serving(after(0.5, says(completion()))) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=3)
        await asking.ask(0.2)
        await asking.settle()
        (attempt,) = asking.attempts
        assert (attempt.verdict, attempt.detail, attempt.charge) == ("late", "came after the deadline", USAGE)
        assert attempt.reply is not None
        assert attempt.reply.message["content"] == "hello"
        assert (asking.tokens, asking.client.verdicts) == (110, {"late": 1})
        await asking.client.close()


async def test_a_late_fault_keeps_its_name_and_is_not_tried_again() -> None:
    """Only a usable reply is late."""
    async with serving(after(0.4, says("{}", 503))) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=3)
        await asking.ask(0.1)
        await asking.settle()
        await asyncio.sleep(0.7)
        assert [attempt.verdict for attempt in asking.attempts] == ["overloaded"]
        assert len(endpoint.seen) == 1
        await asking.client.close()


async def test_a_late_refusal_of_the_key_stops_what_comes_after() -> None:
    """Whoever hears it."""
    async with serving(after(0.4, says("{}", 402))) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=3)
        await asking.ask(0.1)
        await asking.settle()
        with pytest.raises(NoReply, match=r"^no_balance: not sent"):
            await asking.client.complete(REQUEST, NOW_NS + 10**9, asking.attempts.append)
        assert len(endpoint.seen) == 1
        await asking.client.close()


async def test_a_cancelled_caller_leaves_the_attempt_to_be_recorded_once() -> None:
    """Cancelling frees the caller at once; the reply comes as late."""
    async with serving(after(0.4, says(completion()))) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=3)
        session = asyncio.create_task(asking.client.complete(REQUEST, NOW_NS + 60 * 10**9, asking.attempts.append))
        await asyncio.sleep(0.1)
        session.cancel()
        with pytest.raises(asyncio.CancelledError):
            await session
        assert asking.attempts == []
        await asking.settle()
        assert [attempt.verdict for attempt in asking.attempts] == ["late"]
        await asking.client.close()


async def test_closing_records_what_is_in_flight_and_sends_no_more() -> None:
    """Each attempt once, also one that had not begun; a caller that still waits is told."""
    async with serving(after(30, says(completion()))) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=30)
        calls = [
            asyncio.create_task(asking.client.complete(REQUEST, NOW_NS + 60 * 10**9, asking.attempts.append))
            for _ in range(2)
        ]
        await asyncio.sleep(0.1)
        calls.append(asyncio.create_task(asking.client.complete(REQUEST, NOW_NS + 10**9, asking.attempts.append)))
        await asyncio.sleep(0)
        async with asyncio.timeout(2):
            await asking.client.close()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["timeout: given up: the client was closed"] * 3
        assert [attempt.verdict for attempt in asking.attempts] == ["timeout"] * 3
        with pytest.raises(NoReply, match="not sent: the client was closed"):
            await asking.client.complete(REQUEST, NOW_NS + 10**9, asking.attempts.append)


@pytest.mark.parametrize("clock_s", [-3600, 3600])
async def test_a_deadline_of_the_loop_rules_over_a_clock_that_steps(clock_s: int) -> None:
    """Wherever the clock has got to, the requests of one conversation end at one moment."""
    async with serving(says(completion()), after(30, says(completion()))) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=0.1)
        start_s = asyncio.get_running_loop().time()
        until_ns, deadline = NOW_NS + clock_s * 10**9, start_s + 0.6
        reply = await asking.client.complete(REQUEST, until_ns, asking.attempts.append, deadline)
        with pytest.raises(NoReply, match=r"^timeout: no reply before the deadline$"):
            await asking.client.complete(REQUEST, until_ns, asking.attempts.append, deadline)
        took = asyncio.get_running_loop().time() - start_s
        with pytest.raises(NoReply, match=r"^timeout: not sent: no time left$"):
            await asking.client.complete(REQUEST, until_ns, asking.attempts.append, deadline)
        assert reply.message["content"] == "hello"
        assert 0.55 <= took <= 1.1
        await asking.client.close()


async def test_what_was_never_sent_is_not_charged() -> None:
    """A server that lets a connection stand but never shakes hands has read nothing."""
    async with await asyncio.start_server(_keep_silent, "127.0.0.1", 0) as server:
        asking = Asking(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", grace_s=0.1)
        await asking.ask(0.2)
        await asking.settle()
        assert [(attempt.verdict, attempt.charge) for attempt in asking.attempts] == [("timeout", Usage())]
        assert asking.tokens == 0
        await asking.client.close()


async def test_a_kept_connection_is_charged_like_a_new_one() -> None:
    """The second request of a line that broke under it may have been read."""
    async with serving(says(completion()), breaks_off(before_headers=True)) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=0.1)
        await asking.client.complete(REQUEST, NOW_NS + 10**10, asking.attempts.append)
        with pytest.raises(NoReply):
            await asking.client.complete(REQUEST, NOW_NS + 10**9 // 4, asking.attempts.append)
        assert [attempt.charge for attempt in asking.attempts] == [USAGE, max_usage(REQUEST)]
        await asking.client.close()


async def test_without_time_left_nothing_is_sent() -> None:
    """A deadline that has passed is recorded as such."""
    async with serving(says(completion())) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=1)
        with pytest.raises(NoReply, match=r"^timeout: not sent: no time left$"):
            await asking.client.complete(REQUEST, NOW_NS, asking.attempts.append)
        assert (endpoint.seen, asking.tokens) == ([], 0)
        assert [(attempt.verdict, attempt.charge) for attempt in asking.attempts] == [("timeout", Usage())]
        await asking.client.close()


async def test_what_is_in_flight_counts_with_its_most_until_it_lands() -> None:
    """Two at once cannot both take the last of a budget."""
    async with serving(after(0.3, says(completion()))) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=1)
        session = asyncio.create_task(asking.client.complete(REQUEST, NOW_NS + 10**10, asking.attempts.append))
        await asyncio.sleep(0.1)
        assert asking.tokens == max_usage(REQUEST).total
        await session
        assert (asking.tokens, asking.budget.cache_hit_share) == (110, 0.64)
        await asking.client.close()


async def test_a_fault_of_the_recorder_is_the_callers_to_see() -> None:
    """Our bug is not taken for the model's."""

    def fail(_: Attempt) -> None:
        raise RuntimeError("disk")

    async with serving(says(completion())) as endpoint:
        asking = Asking(endpoint.base_url, grace_s=1)
        with pytest.raises(RuntimeError, match="disk"):
            await asking.client.complete(REQUEST, NOW_NS + 10**10, fail)
        await asking.client.close()
