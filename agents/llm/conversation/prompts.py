"""
Prompts: a folder of text files for each variant and language, identified by the digest of all texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from string import Template
from typing import Literal

from agents.llm.conversation.tools import TOOLS

Language = Literal["zh", "en"]

DEFAULT = "default"
SHIPPED = Path(__file__).parent.parent / "prompts"
_NAMES = (
    "static", "dynamic", "decision", "compact",
    "ask_static", "ask_dynamic", "ask_verdict", "ask_decision", "ask_compact", "ask_compact_decision",
    "call_the_tool", "repair",
    *TOOLS,
)  # fmt: skip


class BadPrompts(ValueError):
    """Prompts that cannot be used; the message is one line and names the file."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """
    The prompts of one variant in one language.

    Attributes:
        variant: the name or path that was asked for. texts: by name. digest: of all names and texts.
    """

    variant: str
    language: Language
    texts: Mapping[str, str]
    digest: str

    def render(self, name: str, **values: str) -> str:
        """Fill the `$names` of a text with values."""
        return Template(self.texts[name]).substitute(values)


_FIELDS: dict[str, frozenset[str]] = {
    "ask_static": frozenset({"symbol", "as_of", "tool"}),
    "ask_dynamic": frozenset({"symbol", "as_of", "tool"}),
    "ask_compact": frozenset({"symbol", "as_of"}),
    "ask_decision": frozenset(
        {"symbol", "as_of", "depth", "order_flow", "static_verdict", "dynamic_verdict", "candidates"}
    ),
    "ask_compact_decision": frozenset({"candidates"}),
    "call_the_tool": frozenset({"tool"}),
    "repair": frozenset({"reasons"}),
}


def load(variant: str, language: Language) -> Prompts:
    """
    Load the prompts of a shipped variant by name, or of a folder by path; missing files are taken from the default.

    Raises:
        BadPrompts: there is no such variant, or a file is unknown, is not UTF-8, or uses an unknown `$name`.
    """
    folder = _folder(variant) / language
    if not folder.is_dir():
        names = ", ".join(sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()))
        raise BadPrompts(f"no prompts at {variant}/{language}; shipped variants: {names}; or name a folder of your own")
    unknown = sorted({file.name for file in folder.iterdir()} - {f"{name}.md" for name in _NAMES})
    if unknown:
        raise BadPrompts(f"{folder / unknown[0]} is no prompt; known are {', '.join(f'{name}.md' for name in _NAMES)}")
    texts = {}
    for name in _NAMES:
        own = folder / f"{name}.md"
        texts[name] = _read(own if own.exists() else SHIPPED / DEFAULT / language / own.name)
        _check_text(own.name, name, texts[name])
    digest = blake2b(digest_size=8)
    for name in _NAMES:
        digest.update(f"{name}\0{texts[name]}\0".encode())
    return Prompts(variant, language, texts, digest.hexdigest())


def _folder(variant: str) -> Path:
    """A plain word is a shipped variant where there is one; anything else is a path."""
    folder = SHIPPED / variant
    return folder if Path(variant).name == variant and folder.is_dir() else Path(variant)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadPrompts(f"cannot read prompt {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadPrompts(f"prompt {file} is not UTF-8 text: {error.reason}") from error


def _check_text(file: str, name: str, text: str) -> None:
    if not text:
        raise BadPrompts(f"prompt {file} is empty")
    template = Template(text)
    if not template.is_valid():
        raise BadPrompts(f"prompt {file} holds a $ that names nothing; write $$ for a dollar")
    unknown = set(template.get_identifiers()) - _FIELDS.get(name, frozenset())
    if unknown:
        raise BadPrompts(f"prompt {file} asks for ${sorted(unknown)[0]}, which has no value")
    if "decision" in name and name.startswith("ask") and "json" not in text.lower():
        raise BadPrompts(f"prompt {file} must say the word json: the API asks for it")
