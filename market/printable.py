"""
Untrusted text made fit for a terminal, a log line or a page: one line in which every character is visible.

Which characters are invisible follows the general categories of Unicode (UAX 44, table 12) and its blank letters.
"""

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Controls, formats (bidi, zero width), surrogates, private use, unassigned; line and paragraph separators."""

_BLANKS = {
    *"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0",  # letters and signs that draw nothing
    *map(chr, range(0xFE00, 0xFE0F)),  # variation selectors; U+FE0F only makes a sign a picture
    *map(chr, range(0xE0100, 0xE01F0)),
}
_SHORT_ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
_ELLIPSIS = "…"


def printable(text: str, max_length: int | None = None) -> str:
    r"""
    Escape a text into one line without control sequences and without hidden characters.

    Controls, invisible and unassigned characters, surrogates and line separators become Python's escapes (`\n`, `\x1b`,
    `\u202e`, `\U000e0041`); letters, digits, marks, signs and blanks of all languages stay. A printable text is
    returned unchanged, so a second call changes nothing. HTML is not escaped.

    Args:
        text: untrusted input.
        max_length: largest number of characters of the result, the closing … included, 1 or more; None for no limit. A
            longer one is cut, never inside an escape.
    """
    if max_length is None:
        return text if _is_plain(text) else "".join(map(_escape, text))
    line = printable(text[: max_length + 1])  # no character gets shorter
    if len(line) <= max_length:
        return line
    remaining, pieces = max_length - len(_ELLIPSIS), []
    for piece in map(_escape, text[:max_length]):
        if len(piece) > remaining:
            break
        remaining -= len(piece)
        pieces.append(piece)
    return "".join(pieces) + _ELLIPSIS


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _escape(letter: str) -> str:
    if unicodedata.category(letter) not in _INVISIBLE and letter not in _BLANKS:
        return letter
    code = ord(letter)
    if code < 0x100:
        return _SHORT_ESCAPES.get(letter, rf"\x{code:02x}")
    return rf"\u{code:04x}" if code < 0x10000 else rf"\U{code:08x}"


def flatten_errors(error: BaseException) -> list[BaseException]:
    """The errors inside a group, however deep; an error that is no group gives itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in flatten_errors(inner)]


def one_line(error: BaseException) -> str:
    """Format an error's message as one printable line."""
    return printable(" ".join(str(error).split())) or type(error).__name__
