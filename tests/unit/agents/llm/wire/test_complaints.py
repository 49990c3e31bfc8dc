"""What a server says of itself: its reason in one clean line, whatever it is wrapped in."""

import json
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.wire.complaints import LONGEST, complaint, describe_redirect, is_loopback


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"error": {"message": "no such model", "type": "invalid_request_error", "code": None}}, "no such model"),
        ({"error": "no such model"}, "no such model"),
        ({"error": {"code": "model_not_found"}}, "model_not_found"),
        ({"error": True, "message": "no such model"}, "no such model"),
        ({"message": "no such model"}, "no such model"),
        ({"Message": "no such model"}, "no such model"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body", "messages", 0], "msg": "field required"}]}, "body.messages.0: field required"),
        ({"detail": [{"msg": "one"}, {"msg": "two"}]}, "one; two"),
        ({"detail": {"error": {"message": "deep"}}}, "deep"),
        ({"title": "Forbidden", "status": 403, "type": "about:blank"}, "Forbidden"),
        ({"title": "Forbidden", "detail": "not in your country"}, "not in your country"),
        ({"errors": [{"message": "one"}, "two"]}, "one; two"),
        ([{"error": {"code": 404, "message": "models/x is not found"}}], "models/x is not found"),
        ({"error_description": "expired"}, "expired"),
        ({"error_code": 110, "error_msg": "invalid token"}, "invalid token"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail"),
        ({"choices": [{"error": {"message": "provider down"}, "message": {"content": ""}}]}, "provider down"),
        ({"error": {"message": "  a\n\tb  "}}, "a b"),
        ({"error": {"message": "模型不存在"}}, "模型不存在"),
        ("no such model", "no such model"),
        ({"error": {"message": ""}, "message": "said elsewhere"}, "said elsewhere"),
        ({}, ""),
        ([], ""),
        (7, ""),
        (None, ""),
        ({"error": 7, "choices": []}, ""),
        ({"choices": None}, ""),
        ({"choices": [None]}, ""),
    ],
)
def test_a_reason_in_json(value: Any, reason: str) -> None:
    """Under every key that servers use, nested or in a list."""
    assert complaint(json.dumps(value).encode()) == reason
    assert complaint(b"\xef\xbb\xbf" + json.dumps(value, ensure_ascii=False).encode()) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", ""),
        (b"  \n ", ""),
        (b"upstream connect error\r\nreset", "upstream connect error reset"),
        (b"<html><head><title>403 Forbidden</title></head><body><h1>no</h1></body></html>", "403 Forbidden"),
        (b"<!DOCTYPE html>\n<HTML><TITLE lang=en>Access &amp; denied\n</TITLE>", "Access & denied"),
        (b"<html><body><h1>It <b>moved</b></h1>", "It moved"),
        (b"<?xml version='1.0'?><Error><Code>X</Code><Message>No bucket</Message></Error>", "No bucket"),
        (b"<html><body>hello", "a web page without a title"),
        (b"<html><title>a &lt;script&gt;b&#27;[31m", "a web page without a title"),
        (b"<html><title>a &lt;b&gt;c&#27;[31m</title>", "a c[31m"),
        (b"\xff\xfe\x00\x01\x02\x80\x81", ""),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff", ""),
        ("запрещено".encode(), "запрещено"),
        (b'{"error": {"message": "cut in the mid', '{"error": {"message": "cut in the mid'),
        (b"[" * 5_000, "[" * (LONGEST - 1) + "…"),
    ],
)
def test_a_reason_in_anything_else(body: bytes, reason: str) -> None:
    """Text as it is, a page by its title, an XML fault by its message; bytes that are no text give none."""
    assert complaint(body) == reason


def test_nothing_in_a_reason_moves_a_cursor() -> None:
    """Escapes, bidi marks, invisible letters and line ends go; what is long is cut."""
    message = "a\x1b[2Jb\u202ec\u200bd\u2028e\x9bf\x00gh\u3164i" + "x" * 1_000
    line = complaint(json.dumps({"error": {"message": message}}).encode())
    assert line.startswith("a [2Jb c d e f g")
    assert len(line) == LONGEST
    assert line.endswith("x…")


@given(st.binary(max_size=300))
def test_any_body_gives_one_line(body: bytes) -> None:
    """Clean and bounded, and no exception."""
    line = complaint(body)
    assert len(line) <= LONGEST
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_a_hostile_body_takes_no_time() -> None:
    """Two megabytes of half a title, of nesting, of blanks: seconds of a core, not minutes."""
    for body in (b"<title>" * 300_000, b"<html>" + b"<title" * 300_000, b"<" * 2_000_000, b" " * 2_000_000,
                 b'{"error":' * 200_000, b"<title>" + b"<" * 2_000_000, json.dumps({"error": "x" * 2_000_000}).encode(),
                 b"<message>&" * 200_000):  # fmt: skip
        start_s = time.thread_time()
        complaint(body)
        assert time.thread_time() - start_s < 5


TRUST = "; if you trust it, write it into analyzer.deepseek.base_url"


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ("https://api.example.com/v1/chat/completions", f"moved to https://api.example.com/v1{TRUST}"),
        ("https://api.example.com/v1/chat/completions/", f"moved to https://api.example.com/v1{TRUST}"),
        ("https://api.example.com:8443/chat/completions?key=1#a", f"moved to https://api.example.com:8443{TRUST}"),
        ("https://user:pass@login.example.com/in", f"moved to https://login.example.com/in{TRUST}"),
        ("https://[2001:db8::1]/v1", f"moved to https://[2001:db8::1]/v1{TRUST}"),
        ("http://127.0.0.1:8000/v1/chat/completions", f"moved to http://127.0.0.1:8000/v1{TRUST}"),
        ("http://evil.example/", "moved to http://evil.example, which is not encrypted: no key is sent there"),
        ("https://a.example/\x1b[2J\u202e", f"moved to https://a.example/\\x1b[2J\\u202e{TRUST}"),
        (None, "moved, but the server does not say where"),
        ("", "moved, but the server does not say where"),
        ("/elsewhere", "moved, but the server does not say where"),
        ("javascript:alert(1)", "moved, but the server does not say where"),
        ("https://[", "moved to an address that cannot be read"),
        ("https://a.example:99999/", "moved to an address that cannot be read"),
    ],
)
def test_where_a_redirect_points(location: str | None, line: str) -> None:
    """The address to write into the settings, without user, query and fragment; never one that a key must not go to."""
    assert describe_redirect(location) == line


def test_a_long_address_is_cut() -> None:
    """It stays one line."""
    assert len(describe_redirect("https://a.example/" + "x" * 5_000)) < 300


@pytest.mark.parametrize(
    ("host", "own"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False),
     ("localhost.evil.example", False), ("", False)],
)  # fmt: skip
def test_this_machine(host: str, own: bool) -> None:
    """Loopback addresses and their name."""
    assert is_loopback(host) is own
