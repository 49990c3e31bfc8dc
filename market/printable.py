"""
Foreign text made fit for a terminal, a log line or a page: one line in which every character can be seen.

What counts as unseen follows the general categories of Unicode (UAX 44, table 12) and its blank letters.
"""

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Controls, formats (bidi, zero width), surrogates, private use, unassigned; line and paragraph separators."""

_BLANKS = {
    *"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0",  # letters and signs that draw nothing
    *map(chr, range(0xFE00, 0xFE0F)),  # variation selectors; U+FE0F only makes a sign a picture
    *map(chr, range(0xE0100, 0xE01F0)),
}
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
_CUT = "…"


def printable(text: str, most: int | None = None) -> str:
    r"""
    A text as one line that no terminal obeys and in which nothing hides.

    Controls, invisible and unassigned characters, surrogates and line separators become Python's escapes
    (`\n`, `\x1b`, `\u202e`, `\U000e0041`); letters, digits, marks, signs and blanks of all languages stay. What
    is printable already comes back as it is, so a second call changes nothing. HTML is not escaped.

    Args:
        text: anything that came from outside.
        most: how many characters the result may have, the closing … included, 1 or more; None for no limit. A
            longer one is cut, never inside an escape.
    """
    if most is None:
        return text if _is_plain(text) else "".join(map(_shown, text))
    line = printable(text[: most + 1])  # no character gets shorter
    if len(line) <= most:
        return line
    room, pieces = most - len(_CUT), []
    for piece in map(_shown, text[:most]):
        if len(piece) > room:
            break
        room -= len(piece)
        pieces.append(piece)
    return "".join(pieces) + _CUT


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _shown(letter: str) -> str:
    if unicodedata.category(letter) not in _UNSEEN and letter not in _BLANKS:
        return letter
    code = ord(letter)
    if code < 0x100:
        return _NAMED.get(letter, rf"\x{code:02x}")
    return rf"\u{code:04x}" if code < 0x10000 else rf"\U{code:08x}"


def reasons(error: BaseException) -> list[BaseException]:
    """The errors inside a group, however deep; one that is no group is its own reason."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [reason for inside in error.exceptions for reason in reasons(inside)]


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    return printable(" ".join(str(error).split())) or type(error).__name__
