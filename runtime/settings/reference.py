"""
Describes settings models: each key's kind, limits, default and description, as words and as Markdown.

Pure, for any pydantic model whose sections are models: `docs/settings.md` is generated from it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from runtime.settings.yaml_file import HIDDEN_KEY, join_key_path

_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    SecretStr: "secret text",
    Path: "path",
    date: "date",
}
_HARMLESS = re.compile(r"(?!sk-)([A-Za-z0-9_.-]{1,24}|[A-Za-z_.-]{1,40})")
_OUT_OF_RANGE = ("int_", "float_", "finite_number", "greater_than", "less_than")
_REASONS = {
    "missing": "must be given",
    "bool_": "must be true or false",
    "string_type": "must be text; put quotes around what looks like a number, a date, true, false or null",
    "string_too_short": "must not be empty",
    "date_": "must be a date like 2026-10-01",
    "path_": "must be a path; put quotes around ~ and numbers",
    "tuple_type": "must be a list, like [a, b]",
    "dict_type": "must hold keys and values",
    "model_": "must hold keys and values",
}
_WITHOUT_ARTICLE = ("text", "secret text", "true or false", "keys and values", "section")

NAME = "<name>"
"""Stands in a path for keys that a user chooses."""

_INTRODUCTION = """\
# Settings

Every key of a settings file (`--config FILE`, see `config/`). A key that is left out has its default.
`${VAR}` and `${VAR:-default}` in a value are replaced from the environment and from `.env` beside the file.
A key that is not listed here, or that is given twice, is an error.

This page is generated from the code: `GOLDEN=rewrite pytest tests/unit/runtime/settings/test_reference.py`.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One key of a settings file, a section too.

    Attributes:
        path: the keys that lead to it; `<name>` stands for keys that a user chooses.
        kind: its type in words, e.g. "whole number or null". limits: the range in words, "" where there is none.
        section: the model of its keys where it is a section.
    """

    path: tuple[str, ...]
    info: FieldInfo
    kind: str
    limits: str
    section: type[BaseModel] | None

    @property
    def is_secret(self) -> bool:
        """Whether its value must never be shown."""
        return SecretStr in _types(self.info.annotation)

    @property
    def is_number(self) -> bool:
        """Whether its value is a number, or null."""
        return get_origin(self.info.annotation) is not dict and bool(_types(self.info.annotation) & {int, float})

    @property
    def demand(self) -> str:
        """What its value must be, e.g. "must be a whole number from 1 to 65,535, or null"."""
        kind, null, _ = self.kind.partition(" or null")
        article = "" if kind.startswith(_WITHOUT_ARTICLE) else "a "
        return f"must be {article}{kind}{' ' if self.limits else ''}{self.limits}{', or null' if null else ''}"


def entries(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """All keys of a model, each section before its keys, in the model's order."""
    for name, info in model.model_fields.items():
        entry = entry_of(name, info, path)
        yield entry
        if entry.section is not None:
            inside = (*entry.path, NAME) if get_origin(info.annotation) is dict else entry.path
            yield from entries(entry.section, inside)


def entry_of(name: str, info: FieldInfo, path: tuple[str, ...] = ()) -> Entry:
    """
    Describe one field of a model.

    Args:
        name: the field's name.
        info: the field, as pydantic holds it.
        path: the keys that lead to the model, () for the top.
    """
    kind, limits = kind_and_limits(info.annotation, info.metadata)
    section = next((t for t in _types(info.annotation) if isinstance(t, type) and issubclass(t, BaseModel)), None)
    return Entry((*path, name), info, kind, limits, section)


def kind_and_limits(annotation: Any, metadata: Sequence[Any] = ()) -> tuple[str, str]:
    """
    A value's kind and limits, e.g. ("whole number or null", "from 1 to 65,535").

    Args:
        annotation: the field's type. metadata: its limits, as pydantic keeps them.
    """
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_and_limits(inside[0], [*inside[1:], *metadata])
    if origin in (Union, UnionType):
        kind, limits = kind_and_limits(next(part for part in inside if part is not NoneType), metadata)
        return f"{kind} or null", limits
    if origin is Literal:
        kind = "text" if isinstance(inside[0], str) else "whole number"
        return kind, _join_choices([str(choice) for choice in inside])
    if origin is tuple:
        return f"list of {kind_and_limits(inside[0])[0]}s", _limits(metadata, "entries")
    if origin is dict:
        return "keys and values", ""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section", ""
    return _KINDS[annotation], _limits(metadata)


def reference(model: type[BaseModel]) -> str:
    """Write the page about a model in Markdown: a table for each section, a row for each key, no secrets' defaults."""
    all_entries = list(entries(model))
    parts = [_INTRODUCTION]
    for entry in all_entries:
        if entry.section is None:
            continue
        inside = [e for e in all_entries if e.path[: len(entry.path)] == entry.path and _is_row_of(e, entry)]
        parts.append(f"## `{'.'.join(entry.path)}`\n\n{entry.info.description}\n")
        if inside:
            rows = "\n".join(_row(e) for e in inside)
            parts.append(f"| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def reason_of(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a file with its key's path, on one line that quotes no value, and the number of others."""
    fault = error.errors(include_input=False, include_url=False)[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    entries_by_path = {entry.path: entry for entry in entries(model)}
    names = _entry_path([part for part in fault["loc"] if isinstance(part, str)], entries_by_path)
    key_path = join_key_path(fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{_describe_unknown_key(fault['loc'], names, entries_by_path)}{more}"
    reason = _reason(fault["type"], fault["msg"], entries_by_path.get(names), len(names) < len(fault["loc"]))
    return f"{key_path}: {reason}{more}" if key_path else f"{reason}{more}"


def format_number(value: float) -> str:
    """Format a number for people: 0.00000001, 65,535."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.12f}".rstrip("0").rstrip(".")


def _entry_path(names: Sequence[str], entries_by_path: Mapping[tuple[str, ...], Entry]) -> tuple[str, ...]:
    """Replace the keys that a user chose by NAME."""
    path: tuple[str, ...] = ()
    for name in names:
        is_user_key = path in entries_by_path and get_origin(entries_by_path[path].info.annotation) is dict
        path = (*path, NAME if is_user_key else name)
    return path


def _describe_unknown_key(
    location: Sequence[int | str], names: tuple[str, ...], entries_by_path: Mapping[tuple[str, ...], Entry]
) -> str:
    """Say that a key is unknown, with the known ones and a suggestion; a key that may be a password is hidden."""
    key, siblings = names[-1], [path[-1] for path in entries_by_path if path[:-1] == names[:-1]]
    similar = get_close_matches(key.lower().replace("-", "_"), siblings, 1)
    elsewhere = [".".join(path) for path in entries_by_path if path[-1] == key]
    suggestions = (similar or elsewhere)[:1]
    visible_key = key if similar or elsewhere or _HARMLESS.fullmatch(key) else HIDDEN_KEY
    key_path = ".".join(part for part in (join_key_path(location[:-1]), visible_key) if part)
    hint = f"; did you mean {suggestions[0]}?" if suggestions else ""
    return f"{key_path}: unknown key; known here: {', '.join(siblings)}{hint}"


def _reason(kind: str, message: str, entry: Entry | None, inside_list: bool) -> str:
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if entry is not None and not inside_list and kind.startswith(_OUT_OF_RANGE) and entry.is_number:
        return entry.demand
    if kind in ("too_long", "string_too_long") and entry is not None and not inside_list:
        return f"must have {entry.limits}"
    for prefix, reason in _REASONS.items():
        if kind.startswith(prefix):
            return reason
    return f"{message[0].lower()}{message[1:]}".replace("input should be", "must be")


def _is_row_of(entry: Entry, section: Entry) -> bool:
    below = entry.path[len(section.path) :]
    return len([key for key in below if key != NAME]) == 1 and (entry.section is None or NAME not in below)


def _row(entry: Entry) -> str:
    key = ".".join(entry.path)
    kind = "section, see below" if entry.section is not None and entry.kind == "section" else entry.kind
    cells = (f"`{key}`", kind, _default(entry), entry.limits or "–", str(entry.info.description))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(entry: Entry) -> str:
    if entry.info.is_required():
        return "must be given"
    value = entry.info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, dict):
        return ", ".join(f"`{name}`" for name in value)
    if entry.section is not None:
        return "–"
    if value is None:
        return "null"
    if entry.is_secret:
        return "–"
    return f"`{_text(value)}`"


def _text(value: Any) -> str:
    """A default as it would stand in a file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    if isinstance(value, Path):
        return value.as_posix()
    return format_number(value).replace(",", "") if isinstance(value, int | float) else str(value)


def _limits(metadata: Sequence[Any], things: str = "characters") -> str:
    limits: dict[str, Any] = {}
    for item in metadata:
        for limit in item.metadata if isinstance(item, FieldInfo) else (item,):
            limits |= {name: getattr(limit, name) for name in ("ge", "le", "max_length") if hasattr(limit, name)}
    if "ge" in limits and "le" in limits:
        return f"from {format_number(limits['ge'])} to {format_number(limits['le'])}"
    return f"at most {format_number(limits['max_length'])} {things}" if "max_length" in limits else ""


def _join_choices(choices: Sequence[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _types(annotation: Any) -> set[Any]:
    """All types an annotation is made of."""
    inside = get_args(annotation)
    if get_origin(annotation) is Literal or not inside:
        return {annotation}
    parts = inside[:1] if get_origin(annotation) is Annotated else inside
    return {item for part in parts for item in _types(part)}
