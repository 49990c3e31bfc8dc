"""What a minute and a day may take: refused before it is sent, counted with the most until it is known."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.client.budget import Budget, Limits, max_usage
from agents.llm.client.prices import PeakHours, Price, PriceList
from agents.llm.wire.api import Request, Usage, encode_request
from market.timestamps import DAY_NS, MINUTE_NS

PRICES = PriceList({"m": Price.from_usd_per_million(0.01, 1, 2, 1)}, PeakHours())
NOW_NS = 20_000 * DAY_NS + 600 * MINUTE_NS
USAGES = st.builds(lambda hit, miss, out: Usage(hit + miss, hit, miss, out), *[st.integers(0, 10**6)] * 3)


def a_budget(**limits: int) -> Budget:
    """A budget of model m."""
    return Budget(Limits(**limits), PRICES, "m")


def test_tokens_of_a_minute() -> None:
    """A request that just fits may be sent, one token more may not; the next minute is free again."""
    budget = a_budget(tokens_per_minute=1000)
    budget.record(Usage(300, 0, 300, 100), NOW_NS)
    assert budget.refusal(Usage(500, 0, 500, 100), NOW_NS) is None
    assert (
        budget.refusal(Usage(500, 0, 500, 101), NOW_NS)
        == "tokens_per_minute: 400 of 1000 taken, this request may take 601 more"
    )
    assert budget.refusal(Usage(500, 0, 500, 101), NOW_NS + MINUTE_NS) is None


def test_tokens_of_a_day_end_at_midnight_utc() -> None:
    """The day is the calendar's, not the last 24 hours."""
    budget = a_budget(tokens_per_day=1000)
    budget.record(Usage(1000, 0, 1000, 0), NOW_NS)
    midnight = 20_001 * DAY_NS
    assert budget.refusal(Usage(1, 0, 1, 0), midnight - 1) == (
        "tokens_per_day: 1000 of 1000 taken, this request may take 1 more"
    )
    assert budget.refusal(Usage(1, 0, 1, 0), midnight) is None


def test_money_by_hand() -> None:
    """100 cached, 400 not, 50 out: 1 + 400 + 100 millionths of a dollar."""
    budget = a_budget(usd_e12_per_minute=10**9, usd_e12_per_day=2 * 10**9)
    budget.record(Usage(500, 100, 400, 50), NOW_NS)
    assert budget.totals(NOW_NS) == {
        "tokens_this_minute": 550,
        "tokens_today": 550,
        "usd_e12_this_minute": 501_000_000,
        "usd_e12_today": 501_000_000,
    }
    assert budget.refusal(Usage(499, 0, 499, 0), NOW_NS) is None
    assert budget.refusal(Usage(500, 0, 500, 0), NOW_NS) == (
        "usd_per_minute: 0.000501 of 0.001000 spent, this request may cost 0.000500 more"
    )
    assert budget.refusal(Usage(1000, 0, 1000, 500), NOW_NS + MINUTE_NS) == (
        "usd_per_minute: 0.000000 of 0.001000 spent, this request may cost 0.002000 more"
    )


def test_limits_on_money_need_a_price() -> None:
    """Fails closed, and names the key; without such limits the model may be unknown."""
    with pytest.raises(ValueError, match=r"add analyzer\.deepseek\.prices\.other"):
        Budget(Limits(usd_e12_per_day=1), PRICES, "other")
    free = Budget(Limits(tokens_per_day=10), PRICES, "other")
    free.record(Usage(5, 0, 5, 0), NOW_NS)
    assert free.totals(NOW_NS)["usd_e12_today"] == 0
    assert free.refusal(Usage(6, 0, 6, 0), NOW_NS) is not None


def test_a_limit_of_nothing_refuses_everything() -> None:
    """Zero dollars are zero dollars."""
    assert a_budget(usd_e12_per_day=0).refusal(Usage(1, 1, 0, 0), NOW_NS) is not None


def test_what_is_settled_counts_when_it_was_sent() -> None:
    """A reply of the next minute is charged to the minute of its request."""
    budget = a_budget(tokens_per_minute=1000)
    most = Usage(800, 0, 800, 200)
    budget.reserve(most, NOW_NS)
    assert budget.refusal(Usage(1, 0, 1, 0), NOW_NS) is not None
    budget.settle(most, Usage(500, 400, 100, 20), NOW_NS)
    assert budget.totals(NOW_NS)["tokens_this_minute"] == 520
    assert budget.totals(NOW_NS + MINUTE_NS)["tokens_this_minute"] == 0
    assert budget.totals(NOW_NS + MINUTE_NS)["tokens_today"] == 520
    assert budget.cache_hit_share == 0.8


def test_a_clock_that_steps_back_takes_no_limit_away() -> None:
    """Whatever was counted ahead of it, the minute that is being counted stays."""
    budget = a_budget(tokens_per_minute=1000)
    for minute in range(100, 200):
        budget.record(Usage(1, 0, 1, 0), NOW_NS + minute * MINUTE_NS)
    most = Usage(900, 0, 900, 0)
    assert budget.refusal(most, NOW_NS) is None
    budget.reserve(most, NOW_NS)
    assert budget.totals(NOW_NS)["tokens_this_minute"] == 900
    assert budget.refusal(most, NOW_NS) is not None


def test_a_reply_may_come_in_a_dearer_hour() -> None:
    """Sent a second before the peak: the dearer hour is reserved, and leaves nothing behind when it is settled."""
    prices = PriceList({"m": Price.from_usd_per_million(0.01, 1, 2, 2)}, PeakHours(((601, 700),)))
    budget = Budget(Limits(usd_e12_per_day=1_500_000_000), prices, "m")
    most, before_ns, peak_ns = Usage(1000, 0, 1000, 0), NOW_NS + 59 * 10**9, NOW_NS + 61 * 10**9
    assert budget.refusal(most, before_ns) is None
    assert budget.refusal(most, before_ns, peak_ns) == (
        "usd_per_day: 0.000000 of 0.001500 spent, this request may cost 0.002000 more"
    )
    budget.reserve(most, before_ns, peak_ns)
    assert budget.totals(before_ns)["usd_e12_today"] == 2_000_000_000
    budget.settle(most, Usage(500, 0, 500, 0), before_ns, peak_ns)
    assert budget.totals(before_ns)["usd_e12_today"] == 500_000_000


def test_the_cache_share_is_that_of_replies() -> None:
    """What is only reserved says nothing about the cache."""
    budget = a_budget()
    assert budget.cache_hit_share is None
    budget.reserve(Usage(800, 0, 800, 200), NOW_NS)
    assert budget.cache_hit_share is None
    budget.record(Usage(300, 100, 200, 0), NOW_NS)
    budget.record(Usage(300, 300, 0, 0), NOW_NS)
    assert budget.cache_hit_share == 0.6667


def test_a_start_counts_what_the_log_holds() -> None:
    """Today's calls count towards today, this minute's towards this minute, older ones no more."""
    budget = a_budget(tokens_per_day=100)
    calls = [(NOW_NS - DAY_NS, 7), (NOW_NS - MINUTE_NS, 20), (NOW_NS, 30)]
    budget.restore((sent_ns, Usage(tokens, 0, tokens, 0)) for sent_ns, tokens in calls)
    assert (budget.totals(NOW_NS)["tokens_today"], budget.totals(NOW_NS)["tokens_this_minute"]) == (50, 30)
    assert budget.refusal(Usage(50, 0, 50, 0), NOW_NS) is None
    assert budget.refusal(Usage(51, 0, 51, 0), NOW_NS) is not None


def test_a_long_log_is_restored_in_bounded_memory() -> None:
    """A year of calls leaves today's count right."""
    budget = a_budget()
    days = [(NOW_NS - (365 - day) * DAY_NS, Usage(day, 0, day, 0)) for day in range(366)]
    budget.restore(days)
    assert budget.totals(NOW_NS)["tokens_today"] == 365
    assert budget.totals(NOW_NS - DAY_NS)["tokens_today"] == 364


@given(st.lists(st.tuples(st.integers(0, 3 * 1440), USAGES), max_size=20), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_reserving_leaves_no_trace(calls: list[tuple[int, Usage]], chance: Any) -> None:
    """Settled calls count like restored ones, in any order."""
    sent_calls = [(NOW_NS - minute * MINUTE_NS, usage) for minute, usage in calls]
    first, second = a_budget(), a_budget()
    first.restore(sorted(sent_calls, key=lambda call: call[0]))
    chance.shuffle(sent_calls)
    for sent_ns, usage in sorted(sent_calls, key=lambda call: call[0] // DAY_NS):
        most = Usage(10**6, 0, 10**6, 10**6)
        second.reserve(most, sent_ns)
        second.settle(most, usage, sent_ns)
    assert first.totals(NOW_NS) == second.totals(NOW_NS)


@given(st.lists(USAGES, max_size=30), st.integers(0, 5 * 10**6))
def test_a_limit_is_never_passed(usages: list[Usage], limit: int) -> None:
    """Whoever asks first and takes no more than was asked stays within it."""
    budget = a_budget(tokens_per_day=limit)
    for usage in usages:
        if budget.refusal(usage, NOW_NS) is None:
            budget.record(usage, NOW_NS)
    assert budget.totals(NOW_NS)["tokens_today"] <= limit


@given(st.text(max_size=200))
def test_no_prompt_has_more_tokens_than_are_reserved(text: str) -> None:
    """The bound is at least a token for every byte of every text."""
    request: Request = {"messages": [{"role": "user", "content": text}], "max_tokens": 1}
    assert max_usage(request).prompt >= len(text.encode("utf-8", "surrogatepass")) + 1024
    assert max_usage(request).prompt == len(encode_request(request)) + 1024 + 32


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"max_tokens": 300}, 300),
        ({"max_completion_tokens": 200}, 200),
        ({"thinking": {"type": "disabled"}}, 8192),
        ({"reasoning_effort": "none"}, 8192),
        ({}, 65_536),
        ({"thinking": {"type": "enabled"}, "reasoning_effort": "high"}, 65_536),
        ({"reasoning_effort": "max"}, 131_072),
        ({"max_tokens": "many", "thinking": {"type": "disabled"}}, 8192),
    ],
)
def test_what_a_model_generates_unless_told(fields: dict[str, Any], most: int) -> None:
    """The provider's own defaults, by mode."""
    assert max_usage({"model": "m", "messages": [], **fields}).completion == most
