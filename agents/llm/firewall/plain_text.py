"""
Checks a model's free text before a person, a log or another model reads it: it must be one line of plain words.

The phrases that give orders to a reader are a short list in Chinese and English, best effort only: the protection is
that no figure, id or interval is taken from free text.
"""

import re
import unicodedata

from agents.llm.firewall.spelled_numbers import find_spelled_numbers

MAX_LENGTH = 400  # of a text of the model, in characters; longer ones are refused

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK = re.compile("[\u115f\u1160\u2800\u3164\u034f\u17b4\u17b5\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]")
_AS_PICTURE = "\ufe0f"  # follows many a harmless sign
_STACKED = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3}")

_ADDRESS = re.compile(
    r"[a-z]{2,20}://|\bwww\.|[a-z][\w.+-]{0,40}@[a-z]|\b(?:javascript|mailto):|\bdata:[a-z]+/"
    r"|[a-z0-9-]\.(?:com|net|org|io|cn|co|xyz|ru|app|ai|dev|me|info|top|link|site|online)(?![a-z0-9])"
)
_MARKUP = re.compile(r"<[|/!a-z][^<>]*>|\|>|```|[{}]|\]\(|\[/?(?:inst|sys|system|user|assistant)\]|<<|>>|^#|\\[nux]")
_ROLE = re.compile(
    r"(?:^|[.!?;。]) ?\W?(?:system|assistant|user|developer|tool|human|function"
    r"|系统|系統|助手|用户|用戶|开发者|工具|人类)\s{0,3}:"
)
_AS_A_LEVEL = (
    r"(?! (?:[a-z-]+ ){0,2}(?:support|resistance|floor|ceiling|magnet|barrier|buffer|cushion|cap|lid|anchor)\b)"
)
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|overrule|bypass)\b.{0,40}"
    r"\b(?:(?:previous|prior|preceding) (?:text|messages?|context|words?|turns?|conversation)"
    r"|instructions?|prompts?|rules?|firewall|everything|said above|text above)\b"
    rf"|\b(?:you are now|you must|you should now|act as (?:an?|the|if)\b{_AS_A_LEVEL}|pretend"
    r"|from now on|new instructions?|system prompt|jailbreak"
    r"|developer mode|follow (?:these|my|the following)|do not (?:follow|obey)|reveal|api[ _-]?keys?|passwords?"
    r"|(?:execute|run) (?:this|these|commands?|the (?:commands?|following|code))|call the tool"
    r"|(?:output|respond|reply|answer) (?:only|with)|repeat after)\b"
    r"|(?:忽略|无视|無視|忘记|忘記|忘掉|跳过|绕过|繞過|推翻|不要遵守|不要遵循|不用遵守)"
    r"(?:(?:以上|上述|之前|前面|先前)(?:$|[,。.!;]|所有|全部|一切|的?一切)"
    r"|.{0,12}(?:指令|指示|规则|規則|提示|要求|限制|防火墙|防火牆|内容|內容|消息|设定|設定))"
    r"|你现在是|你現在是|从现在起|從現在起|从现在开始|扮演|假装|假裝|新的?指令|新的指示|系统提示|系統提示"
    r"|遵循(?:以下|下列|我的)|(?:执行|執行)(?:以下|下列|命令)|密钥|密鑰|密码|密碼|泄露|洩露|越狱|越獄"
    r"|(?:只|请|請)(?:输出|輸出|回答|回复|回覆)"
)
_OUTSIDE = re.compile(
    r"\bleverag(?:e|ed|ing)\b|\bmarket[ -]orders?\b|\bstop[ -]?loss|\btake[ -]?profits?\b|\bprofit[ -]targets?\b"
    r"|\ball[ -]in\b(?! (?:all|the|one|this|that|a|an|line|place)\b)"
    r"|止损|止損|止盈|杠杆|槓桿|市价单|市價單|市价[买買卖賣]|市價[买買卖賣]|全[仓倉]|梭哈|爆[仓倉]"
)


def text_faults(text: str) -> list[str]:
    """
    The faults of a text that should be one short line of plain words, a phrase each; empty for a sound text.

    None of them quotes the text.
    """
    if len(text) > MAX_LENGTH:
        return [f"has {len(text)} characters; at most {MAX_LENGTH} are allowed"]
    faults = []
    if any(unicodedata.category(c) in _HIDDEN for c in text) or _BLANK.search(text) or _STACKED.search(text):
        faults.append("holds control or invisible characters; write one line of plain text")
    plain = fold_text(text)
    patterns = {
        "holds a web or mail address; leave it out": _ADDRESS,
        "holds markup; write plain words without brackets, braces or code fences": _MARKUP,
        "holds a role label such as a chat speaker; write plain words": _ROLE,
        "holds instructions to a reader; only say why the price matters": _ORDERS,
        "speaks of stops, targets, leverage or market orders; a decision holds resting limit orders alone": _OUTSIDE,
    }
    faults += [fault for fault, pattern in patterns.items() if pattern.search(plain)]
    return (
        [*faults, "spells a number in words; numbers are written in digits"] if find_spelled_numbers(plain) else faults
    )


def fold_text(text: str) -> str:
    """Normalise a text to what a reader sees: NFKC, no invisible characters, lower case, single blanks."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf" and c != _AS_PICTURE and not _BLANK.match(c))
    return " ".join(unicodedata.normalize("NFKC", visible).casefold().split())
