"""
Separates a model's thoughts from its answer, where an endpoint sends both in one text.

Sources: the chat templates of DeepSeek-R1 and Qwen3 (`<think>`, often opened in the prompt, so that the reply only
closes it), Magistral (`[THINK]`), Kimi-VL (`◁think▷`), Seed-OSS (`<seed:think>`), gpt-oss (harmony's channels).
"""

import re

_WORDS = r"(?:think(?:ing)?|thoughts?|reasoning)"
_TAG = re.compile(
    rf"<\s{{0,4}}(?P<closes>/?)\s{{0,4}}(?:\w{{1,16}}:)?{_WORDS}\b[^<>\n]{{0,80}}>"
    rf"|\[(?P<closes_2>/?){_WORDS}\]|◁(?P<closes_3>/?){_WORDS}▷",
    re.IGNORECASE,
)
_CHANNELS = re.compile(
    r"\s*(?:<\|start\|>\w{0,20})?(?:<\|channel\|>.*)?<\|channel\|>\s{0,4}final\s{0,4}"
    r"(?:<\|constrain\|>\s{0,4}\w{0,20}\s{0,4})?<\|message\|>",
    re.DOTALL,
)
_CHANNEL_END = re.compile(r"\s{0,20}<\|(?:return|end)\|>\s{0,20}\Z")
_BLANKS = re.compile(r"[\s\ufeff]*")
_ANSWER_LINE = re.compile(r"^[ \t\ufeff]*(?=\{|```|~~~)", re.MULTILINE)


def strip_thoughts(text: str, was_cut: bool = False) -> str:
    """
    The answer behind the thoughts that a text begins with; the text itself where it begins with none.

    Blocks may be nested, follow one another, or be closed without having been opened. Of a block that is never closed
    the answer is what begins with a line of JSON or a code fence, else all of it; "" where the reply was cut, since its
    answer had not begun.

    Args:
        text: the content of a reply.
        was_cut: whether the reply ended because it had no tokens left.

    Example:
        >>> strip_thoughts('<think>a wall at 99</think>{"stance": "bid_only"}')
        '{"stance": "bid_only"}'
    """
    channels = _CHANNELS.match(text)
    if channels is not None:
        return _CHANNEL_END.sub("", text[channels.end() :])
    depth = answer = opening_end = 0
    closing_end: int | None = None  # where the last closing tag of a block ends that is still open
    for tag in _TAG.finditer(text):
        if depth == 0 and _has_begun(text, answer, tag):
            break
        if tag[0].endswith("/>"):
            answer = tag.end() if depth == 0 else answer
        elif tag["closes"] or tag["closes_2"] or tag["closes_3"]:
            depth, closing_end = max(depth - 1, 0), tag.end()
            answer = tag.end() if depth == 0 else answer
        else:
            opening_end, closing_end = (tag.end(), None) if depth == 0 else (opening_end, closing_end)
            depth += 1
    if depth == 0:
        return text[answer:]
    return text[closing_end:] if closing_end is not None else _strip_unclosed(text[opening_end:], was_cut)


def _has_begun(text: str, answer: int, tag: re.Match[str]) -> bool:
    """Whether what stands before a tag is no thought but an answer."""
    start = _BLANKS.match(text, answer).end()  # type: ignore[union-attr]  # matches always
    if start >= tag.start():
        return False  # nothing stands there
    closes = tag["closes"] or tag["closes_2"] or tag["closes_3"]
    is_stray = answer > 0 and _BLANKS.fullmatch(text, tag.end()) is not None
    return not closes or text[start] in "{[`~" or is_stray


def _strip_unclosed(thoughts: str, was_cut: bool) -> str:
    if was_cut:
        return ""
    line = _ANSWER_LINE.search(thoughts)
    return thoughts[line.start() :] if line is not None else thoughts
