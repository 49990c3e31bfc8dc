"""
Keeping a key out of what is kept: replies are scrubbed of it before anyone reads or records them.
"""

import json
from urllib.parse import quote

import msgspec

SCRUBBED = "[key]"
"""What stands where a key stood."""

_SHORTEST = 4  # shorter stand-ins of local servers are parts of ordinary words


class Secret:
    """A key that does not show itself; `reveal` is for the one place that sends it."""

    __slots__ = ("_forms", "_key")

    def __init__(self, key: str) -> None:
        self._key = key
        forms = {key, json.dumps(key)[1:-1], quote(key, safe=""), key.replace("/", "\\/")}
        self._forms = sorted(forms, key=lambda form: (-len(form), form)) if len(key) >= _SHORTEST else []

    def __repr__(self) -> str:
        return "Secret(…)"

    def reveal(self) -> str:
        """The key itself."""
        return self._key

    def scrub(self, body: bytes) -> bytes:
        """
        A reply's body without the key; where JSON escapes hid it, the body is written anew.
        """
        body = self._without(body)
        if b"\\u" not in body or not self._forms:
            return body
        try:
            plain = msgspec.json.encode(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return body
        clean = self._without(plain)
        return clean if clean != plain else body

    def _without(self, body: bytes) -> bytes:
        for form in self._forms:
            body = body.replace(form.encode(), SCRUBBED.encode())
        return body
