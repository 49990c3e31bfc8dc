"""What asking will cost, before anything is sent; and what a model may remember."""

from datetime import date

import pytest

from agents.llm.client.budget import max_usage
from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.prompts import load
from agents.llm.wire.api import Usage, encode_request
from analysis.view import MarketView
from market.timestamps import DAY_NS
from replay.decisions import ticks_between
from replay.trials.answer import Totals
from replay.trials.counterfactual import live_ticks, views_at
from replay.trials.estimate import RELEASE_DATES, Rates, estimate, memory_note, rehearse_requests
from tests.market_builders import SIGHT, SMALL, a_market, write_log

RATES = Rates(lambda usage: usage.total, lambda usage: 2 * usage.total)
PROMPTS = load("default", "en")


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> MarketView:
    """The last of thirty recorded minutes."""
    log = write_log(tmp_path_factory.mktemp("log"), a_market(61, 30))
    return list(views_at(log, live_ticks(log, ticks_between(log, 0, 2**62)), SIGHT))[-1]


@pytest.mark.parametrize(("mode", "plain"), [("staged", 5), ("compact", 2)])
@pytest.mark.parametrize("thinking", [False, True])
def test_a_conversation_is_rehearsed_whole(view: MarketView, mode: str, plain: int, thinking: bool) -> None:
    """As many requests as a real one takes, and the one that mends a refused decision."""
    requests = rehearse_requests(view, PROMPTS, ModelOptions("m", mode, thinking), SMALL)  # type: ignore[arg-type]
    assert len(requests) == plain + 1
    assert [("response_format" in request) for request in requests] == [False] * (plain - 1) + [True, True]
    assert max(len(encode_request(request)) for request in requests) > 8_000


def test_expected_and_worst(view: MarketView) -> None:
    """Expected: the plain requests once, at a rule of thumb; worst: all at their most, as often as allowed."""
    requests = rehearse_requests(view, PROMPTS, ModelOptions("m", "compact"), SMALL)
    result = estimate(requests, 10, 3, RATES, Totals())
    prompt = sum(len(encode_request(r)) // 3 for r in requests[:2])
    assert result.expected_tokens == 10 * (prompt + 40 + 600)
    assert result.expected_usd_e12 == result.expected_tokens
    assert result.worst_tokens == 10 * 3 * sum(max_usage(r).total for r in requests)
    assert result.worst_usd_e12 == 2 * result.worst_tokens
    assert result.worst_tokens > 3 * result.expected_tokens


def test_stored_answers_tell_better(view: MarketView) -> None:
    """With answers of the same side at hand their mean is expected, what the provider had cached included."""
    history = Totals(answers=4, calls=8, prompt_tokens=40_000, cached_tokens=30_000, completion_tokens=2_000)
    seen: list[Usage] = []

    def now(usage: Usage) -> int:
        seen.append(usage)
        return 7

    result = estimate(rehearse_requests(view, PROMPTS, ModelOptions("m"), SMALL), 5, 1, Rates(now, now), history)
    assert seen[0] == Usage(prompt=10_000, cache_hit=7_500, cache_miss=2_500, completion=500)
    assert (result.expected_tokens, result.expected_usd_e12, result.basis) == (52_500, 35, "4 stored answers")


def test_without_a_price_only_tokens_are_told(view: MarketView) -> None:
    """Nobody guesses what an unknown model costs."""
    result = estimate(rehearse_requests(view, PROMPTS, ModelOptions("m"), SMALL), 1, 1, None, Totals())
    assert (result.expected_usd_e12, result.worst_usd_e12) == (None, None)
    assert result.expected_tokens > 0


def test_thinking_is_expected_to_cost(view: MarketView) -> None:
    """A model that thinks writes more than it says, but no more than it may."""
    plain, thinking, short = (
        estimate(rehearse_requests(view, PROMPTS, asking, SMALL), 1, 1, None, Totals()).expected_tokens
        for asking in (
            ModelOptions("m", "compact", max_tokens=8000),
            ModelOptions("m", "compact", thinking=True, max_tokens=8000),
            ModelOptions("m", "compact", thinking=True, max_tokens=500),
        )
    )
    assert thinking - plain > 5_900
    assert short < thinking


def test_memory() -> None:
    """Days before a release, days around it, days after it, and a model nobody knows."""
    released_ns = (date(2026, 10, 17) - date(1970, 1, 1)).days * DAY_NS
    assert RELEASE_DATES["deepseek-flash"] == date(2026, 10, 17)
    before = memory_note("deepseek-flash", released_ns - 2 * DAY_NS, released_ns - 1)
    around = memory_note("deepseek-flash", released_ns - 2 * DAY_NS, released_ns + 1)
    assert before == (
        "these days lie before the release of deepseek-flash (2026-10-17): they may be remembered rather than reasoned "
        "about"
    )
    assert around is not None
    assert around.startswith("some of these days lie before the release")
    assert memory_note("deepseek-flash", released_ns, released_ns + DAY_NS) is None
    unknown = memory_note("qwen", released_ns, released_ns)
    assert unknown is not None
    assert unknown.startswith("the release date of qwen is unknown")
