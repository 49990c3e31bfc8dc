"""
Keeps an API key out of logs and records: replies are scrubbed of it before they are read or recorded.
"""

import re

SCRUBBED = "[key]"
"""Replaces a key."""

_MIN_LENGTH = 4  # shorter stand-ins of local servers are parts of ordinary words


class Secret:
    """An API key that its `repr` hides; only the transport calls `reveal`."""

    __slots__ = ("_key", "_pattern")

    def __init__(self, key: str) -> None:
        self._key = key
        # from the first backslash of a run on: a long run is tried once
        forms = [_forms(key[:1], rb"(?<!\\)\\+"), *(_forms(letter, rb"\\+") for letter in key[1:])]
        self._pattern = re.compile(b"".join(forms)) if len(key) >= _MIN_LENGTH else None

    def __repr__(self) -> str:
        return "Secret(…)"

    def reveal(self) -> str:
        """Return the key."""
        return self._key

    def scrub(self, body: bytes) -> bytes:
        """
        Remove the key from a reply's body, whether the body is JSON or not.

        Each letter is matched as it is, with JSON's escapes at any depth of strings within strings, percent-encoded, or
        as an HTML entity. Not matched: a part of the key, and the key in another encoding (base64, UTF-16, reversed).
        """
        return self._pattern.sub(SCRUBBED.encode(), body) if self._pattern is not None else body


def _forms(letter: str, backslashes: bytes) -> bytes:
    plain = letter.encode()
    forms = [re.escape(plain), b"(?i:%s)" % b"".join(b"%%%02x" % byte for byte in plain)]
    if len(letter) == 1:
        forms.append(b"(?i:&#0{0,6}(?:%d|x0{0,6}%x);?)" % (ord(letter), ord(letter)))
    if letter == "&":
        forms.insert(0, b"&amp;")
    if letter == "\\":
        forms.insert(0, backslashes)
    if letter in '"/':
        forms.insert(0, backslashes + re.escape(plain))
    if len(letter) == 1 and ord(letter) <= 0xFFFF:
        forms.insert(0, backslashes + b"u(?i:%04x)" % ord(letter))
    return b"(?:%s)" % b"|".join(forms)
