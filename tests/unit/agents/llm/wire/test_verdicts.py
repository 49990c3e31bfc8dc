"""Pauses, Retry-After and keys, without a socket."""

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.client.secret import SCRUBBED, Secret
from agents.llm.wire.api import NoMessage, UnreadableReply, Usage, read_reply
from agents.llm.wire.verdicts import assess, pause_s, retry_after_s

NOW_NS = 1_800_000_000 * 10**9  # 2027-01-15 08:00:00 UTC


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("3", 3.0),
        ("1.5", 1.5),
        ("-4", 0.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 0001 00:00:00 +2300", 0.0),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    """Seconds or a date; what cannot be read says nothing."""
    assert retry_after_s(text, lambda: NOW_NS) == seconds


def test_pauses_double_and_are_spread_by_the_request() -> None:
    """0.5 to 8 s, up to a quarter less, the same for the same request; never less than was asked for."""
    assert [pause_s(number, "0000", None) for number in (1, 2, 3, 4, 5, 6, 10)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert [pause_s(number, "ffff", None) for number in (1, 2, 10)] == [0.375, 0.75, 6]
    assert (pause_s(1, "0000", 3.0), pause_s(5, "0000", 3.0)) == (3.0, 8.0)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_any_answer_gets_a_verdict(status: int, body: bytes) -> None:
    """Random bytes under any status: one line, and a reply only where a 200 could be read."""
    assessment = assess(status, body)
    assert (assessment.reply is None) or status == 200
    assert "\n" not in assessment.detail


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b'"\xff"', b"{", b"[" * 50_000, b'{"a":' * 50_000, b"NaN", b'{"a":1e999}', b'"\\ud800"'],
)
def test_what_is_no_json_is_said_so(body: bytes) -> None:
    """No other exception leaves the reader, and nothing is quoted."""
    with pytest.raises(UnreadableReply, match=r"^not JSON: ") as caught:
        read_reply(body)
    assert not isinstance(caught.value, NoMessage)


@pytest.mark.parametrize("body", [b"1", b"[]", b"{}", b'{"choices":[1]}', b'{"choices":[{"message":[]}]}'])
def test_json_without_a_message_is_said_so(body: bytes) -> None:
    """Told apart from what is not JSON."""
    with pytest.raises(NoMessage):
        read_reply(body)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60), st.text(max_size=20))
def test_no_reply_holds_the_key(key: str, around: str) -> None:
    """As text, escaped by JSON in any of its ways, or in a URL; what stays is JSON where it was."""
    key = f"sk-{key}"  # one of hexadecimal digits alone could lie across an escape
    escaped = '"' + "".join(f"\\u{ord(letter):04x}" for letter in key) + '"'
    bodies = [msgspec.json.encode({"a": around + key, key: [key]}), escaped.encode(), f"x {key} y".encode()]
    clean = [Secret(key).scrub(body) for body in bodies]
    plain = [*clean, *(msgspec.json.encode(msgspec.json.decode(body)) for body in clean[:2])]
    forms = [key.encode(), msgspec.json.encode(key)[1:-1]]
    inside = key in SCRUBBED
    assert inside or not any(form in body for form in forms for body in plain)


KEY = 'sk-a/b"c+d\\0123'


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize("form", ["plain", "letters", "every second", "capitals", "slash"])
def test_a_key_is_found_in_strings_within_strings(depth: int, form: str) -> None:
    """However deep, in any of JSON's escapes, also where the whole is no JSON or broke off."""
    units = [f"\\u{ord(letter):04x}" for letter in KEY]
    string = {
        "plain": json.dumps(KEY),
        "letters": '"' + "".join(units) + '"',
        "every second": '"' + "".join(json.dumps(c)[1:-1] if i % 2 else units[i] for i, c in enumerate(KEY)) + '"',
        "capitals": '"' + "".join("\\u" + unit[2:].upper() for unit in units) + '"',
        "slash": json.dumps(KEY).replace("/", "\\/"),
    }[form]
    assert json.loads(string) == KEY
    text, expected = f'{{"a":{string}}}', f'{{"a":"{SCRUBBED}"}}'
    for _ in range(depth):
        text, expected = json.dumps({"arguments": text}), json.dumps({"arguments": expected})
    for cut in (0, 1):
        assert Secret(KEY).scrub(text[cut:].encode()).decode() == expected[cut:]


def test_a_key_is_found_as_addresses_have_it() -> None:
    """With either case of hexadecimal digits."""
    key = "sk-a/b+c=d"
    assert Secret(key).scrub(b"?k=sk-a%2Fb%2Bc%3Dd&l=sk-a%2fb%2bc%3dd") == b"?k=[key]&l=[key]"


def test_a_backslash_before_a_key_stays_its_own() -> None:
    """What is JSON stays JSON."""
    assert Secret("sk-123456").scrub(rb'["\\sk-123456","\nsk-123456"]') == rb'["\\[key]","\n[key]"]'


def test_a_hostile_body_is_scrubbed_in_no_time() -> None:
    """Two million backslashes, or half a key over and over: seconds of a core, not minutes."""
    start_s = time.thread_time()
    for body in (b"\\" * 2_000_000, b"s\\\\" * 600_000, b"sk-1234" * 280_000):
        assert Secret("sk-123456").scrub(body) == body
    assert time.thread_time() - start_s < 5


@pytest.mark.parametrize(
    ("server_text", "read"),
    [
        ("deepseek-v4-flash", "deepseek-v4-flash"),
        ("org/Model_1.5:7b@x+y", "org/Model_1.5:7b@x+y"),
        ("x" * 80, "x" * 80),
        ("x" * 81, None),
        ("deepseek\n", None),
        ("buy now!", None),
        ("<b>", None),
        ("模型", None),
        ("", None),
        (7, None),
    ],
)
def test_a_name_that_is_no_name_is_none(server_text: object, read: str | None) -> None:
    """It is published and logged: a server must not write sentences there."""
    reply = read_reply(
        msgspec.json.encode({"choices": [{"message": {}}], "model": server_text, "system_fingerprint": server_text})
    )
    assert (reply.model, reply.fingerprint) == (read, read)


def test_a_body_without_the_key_is_the_same_bytes() -> None:
    """Escapes alone do not make it be written anew."""
    body = b'{"a": "\\u4f60" , "b":1.50}'
    assert Secret("sk-123456").scrub(body) == body


def test_a_short_stand_in_scrubs_nothing() -> None:
    """The words of an ordinary text are not a key."""
    assert Secret("x").scrub(b"text") == b"text"
    assert Secret("").scrub(b"text") == b"text"


def test_a_key_does_not_show_itself() -> None:
    """Only where it is asked to."""
    secret = Secret("sk-123456")
    assert "123456" not in f"{secret!r} {secret}"
    assert secret.reveal() == "sk-123456"


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (
            {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 90}},
            Usage(100, 90, 10, 1, 0),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 1,
                "prompt_cache_hit_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 90},
            },
            Usage(100, 0, 100, 1, 0),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": [4]}, Usage(9, 0, 9, 1, 0)),
        ({"prompt_tokens": 9, "completion_tokens": 3}, Usage(9, 0, 9, 3, 0)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "completion_tokens": 0}, Usage(9, 4, 5, 0, 0)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 40, "completion_tokens": 3}, Usage(9, 9, 0, 3, 0)),
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 2}},
            Usage(9, 0, 9, 3, 2),
        ),
        ({"prompt_tokens": 9}, Usage()),
        ({"prompt_tokens": 9, "completion_tokens": "many"}, Usage()),
        ({"prompt_tokens": -5, "completion_tokens": 3}, Usage()),
        ({"prompt_tokens": 10**18, "completion_tokens": 3}, Usage()),
        ({"prompt_tokens": True, "completion_tokens": 3}, Usage()),
        ([], Usage()),
        (None, Usage()),
    ],
)
def test_a_usage_that_cannot_be_is_no_usage(usage: object, read: Usage) -> None:
    """What is not said, or absurd, is all zero, so that the most is charged instead."""
    assert read_reply(msgspec.json.encode({"choices": [{"message": {}}], "usage": usage})).usage == read
