"""
The reason in a server's refusal, as one line for the operator: never for a prompt or a recommendation.

Shapes seen: OpenAI and DeepSeek `{"error": {"message"}}`, Ollama `{"error": "…"}`, FastAPI and vLLM `{"detail": …}`,
Azure and gateways `{"message"}`, Gemini the first in a list, RFC 9457 `title` and `detail`, proxies text or a page.
"""

import html
import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec

from market.printable import printable

LONGEST = 200
"""Most characters of a reason, and of an address."""

_READ_BYTES = 64 * 1024  # of a body that is not JSON
_DEEPEST = 5  # levels of a nested reason
_MAX_OF_A_LIST = 3  # bounds a message: the first complaints of a list say enough
_KEYS = (
    "error", "errors", "message", "detail", "details", "msg", "error_message", "error_msg", "error_description",
    "status_msg", "reason", "title", "description", "base_resp", "code",
)  # fmt: skip
_HEADINGS = re.compile(rb"<(title|h1|message)\b[^<>]{0,200}>(.{1,500}?)</\1\s{0,4}>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<[^<>]{0,500}>")
_API_PATH = "/chat/completions"


def complaint(body: bytes) -> str:
    """Extract the server's own reason as one printable line; "" where the body gives none."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    try:
        reason = _reason(msgspec.json.decode(text), 0)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        reason = _page_heading(body[:_READ_BYTES]) if text.startswith("<") else _readable_text(text[:_READ_BYTES])
    visible = "".join(letter if letter.isprintable() else " " for letter in reason[: 20 * LONGEST])
    return printable(" ".join(visible.split()), LONGEST)


def describe_redirect(location: str | None) -> str:
    """
    Say where a redirect points and what to do, for the operator: the address without user, query and fragment.

    Args:
        location: an absolute address; None or blank where the server names none.
    """
    try:
        url = urlsplit((location or "").strip())
        host, port = url.hostname or "", url.port
    except ValueError:
        return "moved to an address that cannot be read"
    if not host or url.scheme not in ("http", "https"):
        return "moved, but the server does not say where"
    place = f"[{host}]" if ":" in host else host
    base = f"{url.scheme}://{place}{'' if port is None else f':{port}'}{url.path.rstrip('/')}"
    address = printable(base.removesuffix(_API_PATH), LONGEST)
    if url.scheme == "http" and not is_loopback(host):
        return f"moved to {address}, which is not encrypted: no key is sent there"
    return f"moved to {address}; if you trust it, write it into analyzer.deepseek.base_url"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, the only one to which a key may be sent unencrypted."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _reason(value: Any, depth: int) -> str:
    """The first text under a key that names a fault, however it is wrapped."""
    if isinstance(value, str):
        return value.strip()
    if depth >= _DEEPEST:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_reason(item, depth + 1) for item in value[:_MAX_OF_A_LIST])))
    if not isinstance(value, dict):
        return ""
    fields = {name.lower(): item for name, item in value.items() if isinstance(name, str)}
    for name in _KEYS:
        reason = _reason(fields.get(name), depth + 1)
        if reason:
            return _with_location(fields.get("loc"), reason)
    choices = fields.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return _reason({"error": first.get("error")}, depth + 1) if isinstance(first, dict) else ""


def _with_location(location: Any, reason: str) -> str:
    """A reason with the field that it is about, as validators report it."""
    if not isinstance(location, list):
        return reason
    names = [str(part) for part in location[:6] if isinstance(part, str | int)]
    return f"{'.'.join(names)}: {reason}" if names else reason


def _page_heading(page: bytes) -> str:
    """The title of a web page or the message of an XML fault."""
    headings = {name.lower(): text for name, text in _HEADINGS.findall(page)}
    for name in (b"message", b"title", b"h1"):
        heading = _TAGS.sub(" ", html.unescape(headings.get(name, b"").decode("utf-8", "replace"))).strip()
        if heading:
            return heading
    return "a web page without a title"


def _readable_text(text: str) -> str:
    unreadable = sum(letter == "\ufffd" or letter == "\x00" for letter in text)
    return "" if 10 * unreadable > len(text) else text
