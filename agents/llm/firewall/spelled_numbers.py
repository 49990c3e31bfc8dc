"""
Numbers spelled in words, Chinese and English: a reason must not hold one, because it cannot be checked.

English: two or more number words in a row. Chinese: two or more numerals in a row; whole numbers up to twelve, tens
of a span of time ("二十四小时") and vague amounts ("千万", "两三次") are left alone.
"""

import re

_WORD = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
    r"|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million"
    r"|billion)"
)
_POINT = r"(?:(?:point|dot)[ -]{1,2})?"
_ENGLISH = re.compile(
    rf"\b{_WORD}(?:[ ._·-]{{0,3}}{_POINT}{_WORD})+s?\b(?!-(?:sided|minute|hour|second|day|way|tick))"
    rf"|\b{_WORD}(?:[ ,;/]{{1,3}}{_WORD}){{2,}}\b"
    r"|\b\d[\d.,]* ?(?:hundred|thousand|million|billion)\b|\b\d+ point \d"
)
_NUMERAL = "零〇○一二两兩三四五六七八九十百千万萬亿億壹贰貳叁參肆伍陆陸柒捌玖拾佰仟廿卅"
_POINTS = "点點"
_CHINESE = re.compile(rf"[{_NUMERAL}](?:[ ·_-]?[{_NUMERAL}{_POINTS}])+")
_PLAIN = re.compile(r"十[一二]?|一一|万一|萬一|[百千万萬亿億]+")
_TENS = re.compile(r"[一二三四五六七八九]?十[一二三四五六七八九]?")
_ABOUT = re.compile(r"一[二两]|[二两]三|三四|四五|五六|六七|七八|八九")
_MEASURE = re.compile(r" ?[次个個档檔笔筆轮輪]")
_SPAN = re.compile(r" ?(?:[个個]?小[时時]|分[钟鐘]|秒|天)")


def find_spelled_numbers(plain: str) -> tuple[str, ...]:
    """Find the numbers that a text of `fold_text` spells in words, as written."""
    return (*(m[0] for m in _ENGLISH.finditer(plain)), *(m[0] for m in _CHINESE.finditer(plain) if _counts(m)))


def _counts(match: re.Match[str]) -> bool:
    numeral = re.sub("[ ·_-]", "", match[0]).strip(_POINTS)  # at an end it is no decimal point: "一点", "三点"
    if len(numeral) < 2 or _PLAIN.fullmatch(numeral):
        return False
    if _ABOUT.fullmatch(numeral) and _MEASURE.match(match.string, match.end()):
        return False
    return not (_TENS.fullmatch(numeral) and _SPAN.match(match.string, match.end()))
