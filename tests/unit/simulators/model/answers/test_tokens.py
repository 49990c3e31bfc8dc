"""Tokens, their limit, and the prefix cache of the simulated model."""

from hypothesis import given
from hypothesis import strategies as st

from simulators.model.answers.drafts import Draft, ToolCall, cut_draft
from simulators.model.answers.tokens import PrefixCache, cut_to_tokens, tokens_of
from tests.unit.simulators.model.chats import a_model, asks_decision, asks_depth, chat, message_of, sent_to, user

THINKING = {"thinking": {"type": "enabled"}}


def test_a_token_is_four_bytes() -> None:
    """Rounded up; a Chinese character is three bytes."""
    assert [tokens_of(text) for text in ("", "a", "abcd", "abcde", "订单簿")] == [0, 1, 1, 2, 3]
    assert cut_to_tokens("订单簿", 1) == "订"


def test_the_cache_counts_whole_units_of_a_common_prefix() -> None:
    """600 bytes hold two units of 256; a change in the second leaves one, another owner none."""
    cache, first = PrefixCache(), b"x" * 600
    other = b"x" * 300 + b"y" * 300
    hits = [cache.hit_tokens(owner, prompt) for owner, prompt in ((b"a", first), (b"a", first), (b"a", other),
                                                                  (b"b", first), (b"a", b"x" * 255))]  # fmt: skip
    assert hits == [0, 128, 64, 0, 0]


def test_the_cache_forgets_the_least_used() -> None:
    """With room for two units a third prompt drives the first one out."""
    cache = PrefixCache(max_units=2)
    prompts = [bytes([letter]) * 256 for letter in b"abc"]
    assert [cache.hit_tokens(b"", prompt) for prompt in (*prompts, prompts[0], prompts[2])] == [0, 0, 0, 0, 64]


@given(st.binary(max_size=2_000), st.binary(max_size=2_000), st.binary(max_size=600))
def test_a_hit_is_never_more_than_what_is_common(first: bytes, second: bytes, head: bytes) -> None:
    """Whatever follows a common head, the hit is at most the true common prefix, and its whole units."""
    one, two = head + first, head + second
    cache = PrefixCache()
    cache.hit_tokens(b"k", one)
    common = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    assert cache.hit_tokens(b"k", two) == common // 256 * 64


def test_usage_adds_up_and_keys_share_no_cache() -> None:
    """Hit and miss make the prompt; the second equal request hits, another key's or user's does not."""
    model, body = a_model(), asks_decision()
    usages = [sent_to(model, body)[1]["usage"], sent_to(model, body)[1]["usage"]]
    others = [sent_to(model, body, key="other")[1]["usage"], sent_to(model, {**body, "user_id": "u"})[1]["usage"]]
    for usage in (*usages, *others):
        assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == usage["prompt_tokens"]
        assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    prompt = usages[0]["prompt_tokens"]
    assert [u["prompt_cache_hit_tokens"] for u in (*usages, *others)] == [0, prompt // 64 * 64, 0, 0]


def test_prompt_tokens_by_hand() -> None:
    """`[[],{"role":"user","content":"Hi"}]` is 36 bytes, so 9 tokens; the answer's 18 bytes are 5."""
    usage = sent_to(a_model(), chat(user("Hi")))[1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (9, 5)


def test_max_tokens_cuts_content_reasoning_and_calls() -> None:
    """At the limit the reply ends in finish_reason length; reasoning is counted first."""
    _, content = sent_to(a_model(), asks_decision(max_tokens=10))
    assert message_of(content)["content"] == '{\n "reference": "83412.50",\n "stance": "'
    assert content["choices"][0]["finish_reason"] == "length"
    assert content["usage"]["completion_tokens"] == 10
    _, thought = sent_to(a_model(), asks_decision(max_tokens=3, **THINKING))
    assert (message_of(thought)["reasoning_content"], message_of(thought)["content"]) == ("Candidates a", "")
    _, call = sent_to(a_model(), asks_depth(max_tokens=8))
    assert message_of(call)["tool_calls"][0]["function"]["arguments"] == '{"symbol'


def test_a_draft_within_its_tokens_is_not_cut() -> None:
    """A call's name and arguments count: 6 + 2 tokens fit in 8 and not in 7."""
    draft = Draft("", None, (ToolCall("x" * 24, "y" * 8),), "tool_calls")
    assert cut_draft(draft, 8) == draft
    assert cut_draft(draft, 7).finish == "length"
    assert cut_draft(draft, 7).calls[0].arguments == "yyyy"
