"""
Reads a settings file as plain values: YAML in bounded time and memory, no key twice, `${VAR}` replaced.

YAML is read as PyYAML's safe loader does (YAML 1.1), aliases and merge keys included. No message quotes a
value: it may be a key.
"""

import codecs
import io
import os
import re
import stat
from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from dotenv.variables import Literal, parse_variables
from yaml.composer import ComposerError
from yaml.reader import ReaderError

from market.errors import KnownError

# far beyond any settings file: they bound time and memory
MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
MAX_DEPTH = 20
MAX_LETTERS = 10_000
HIDDEN_KEY = "(a key not shown)"

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_PLAIN_KEY = re.compile(r"(?!.*(?:\bsk-|://))[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,59}|<<")
_QUOTED = re.compile(r"""'(?!<)[^']{2,}'|"[^"]{2,}\"""")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_OPTIONAL = ("analyzer", "deepseek", "api_key")  # no key is a choice: the rules decide

_CORE = "tag:yaml.org,2002:"
_TEXT, _MERGE, _LIST, _KEYS = (_CORE + name for name in ("str", "merge", "seq", "map"))
_OCTAL = re.compile(r"[-+]?0[0-9_]")  # 010 would be read as 8
_SCALARS = {_CORE + name for name in ("null", "bool", "int", "float", "timestamp")} | {_TEXT}
_COMPOSING = {
    "another document": "a second document (---); keep one",
    "undefined alias": "an alias (*) that no anchor (&) before it names; text that begins with * belongs in quotes",
    "second occurrence": "an anchor (&) given twice; text that begins with & belongs in quotes",
}
_TOO_BIG = "contains more values than settings need (aliases are expanded); make it smaller"
_TOO_DEEP = "nests deeper than settings do"
_TOO_LONG = f"a value or key of more than {MAX_LETTERS:,} characters; make it shorter"

KeyPath = tuple[str, ...]
"""The keys that lead to a value, from the top; a place in a list counts as a key."""


class SettingsError(KnownError, ValueError):
    """Settings that cannot be used; the message is one line with the key's path and what to do."""


def read(path: Path) -> dict[str, Any]:
    """
    Read the values of a settings file, {} of an empty one; `${VAR}` is not replaced yet.

    Raises:
        SettingsError: it cannot be read, is not YAML, is too large, or holds a key twice.
    """
    text = read_text(path)
    try:
        values = _Reader(text).values()
    except _Fault as fault:
        raise SettingsError(f"{printable_path(path)}: {fault}") from None
    except yaml.YAMLError as error:  # its own words quote the line: a key, perhaps
        raise SettingsError(f"{printable_path(path)} is not YAML: {_reason(error, text)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        kind = "list" if isinstance(values, list) else "single value"
        raise SettingsError(f"{printable_path(path)} must hold sections like app: and redis:, not a {kind}")
    return values


def read_text(path: Path) -> str:
    """
    Read a small text file, with or without a byte order mark.

    Raises:
        SettingsError: it cannot be read, is no regular file, is too large or no text.
    """
    prefix = f"cannot read settings {printable_path(path)}"
    if "\0" in str(path):
        raise SettingsError(f"{prefix}: its name holds a NUL")
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # opening a pipe would wait for a writer
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        else:
            raise SettingsError(f"{prefix}: not a regular file; name one with --config")
    except OSError as error:
        raise SettingsError(f"{prefix}: {error.strerror}; name one with --config") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{printable_path(path)} is larger than {MAX_BYTES // 1024} KiB; it is no settings file")
    try:
        return data.decode(next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{printable_path(path)} is not UTF-8 text: {error.reason}; save it as UTF-8") from None


def read_dotenv(folders: Sequence[Path], environment: Mapping[str, str]) -> dict[str, str]:
    """
    Read the variables of the `.env` files in some folders; a later file's value counts, a folder of that name does not.

    Args:
        folders: where to look. environment: the values of variables inside a value that the file does not set.

    Raises:
        SettingsError: one is there and cannot be used.
    """
    variables: dict[str, str] = {}
    for file in dict.fromkeys(folder / ".env" for folder in folders):
        if not os.path.exists(file) or os.path.isdir(file):
            continue
        try:
            text = read_text(file)
        except SettingsError:
            raise SettingsError(
                f"{printable_path(file)} cannot be read as a small UTF-8 text file; rewrite it or remove it"
            ) from None
        variables |= _resolve_dotenv(dotenv_values(stream=io.StringIO(text), interpolate=False), environment, file)
    return variables


def substitute(values: Mapping[str, Any], variables: Mapping[str, str], source: str) -> dict[str, Any]:
    """
    Replace `${VAR}` and `${VAR:-default}` in values.

    Args:
        values: of `read`; not changed.
        variables: by name.
        source: the values' name in an error, e.g. the file's.

    Raises:
        SettingsError: a variable is not set and has no default, or what comes out is too long or no text.
    """
    try:
        return {key: _fill(value, variables, (key,)) for key, value in values.items()}
    except _Fault as fault:
        raise SettingsError(f"{source}: {fault}") from None


def join_key_path(path: Sequence[int | str]) -> str:
    """Join a key's path with dots; a part that cannot be a key, such as a password, is hidden."""
    return ".".join(printable_key(str(part)) for part in path)


def printable_key(key: str) -> str:
    """A key, or a model's name, for a message; hidden where it looks like a password or an address."""
    return key if _PLAIN_KEY.fullmatch(key) else HIDDEN_KEY


def printable_path(path: Path) -> str:
    """A file's name on one printable line."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(path))


class _Fault(Exception):
    """What is wrong with a file, without the file's name."""


class _Reader(yaml.SafeLoader):
    """Makes plain values of one document; what it may hold is bounded before it is built."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0
        self._remaining = MAX_VALUES

    def values(self) -> Any:
        """The document's values, None for an empty one."""
        node = self.get_single_node()
        return None if node is None else self._value(node, ())

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node, as long as there are neither too many nor too deep ones. Overrides PyYAML's."""
        event = self.peek_event()
        line = event.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_VALUES:
            raise _Fault(f"line {line}: {_TOO_BIG}")
        if self._depth > MAX_DEPTH:
            raise _Fault(f"line {line}: {_TOO_DEEP}")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_LETTERS:
            raise _Fault(f"line {line}: {_TOO_LONG}")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._remaining -= 1
        if self._remaining < 0:
            raise _Fault(f"{_line(node)}: {_TOO_BIG}")
        if len(path) > MAX_DEPTH:
            raise _Fault(f"{_line(node)}: {_TOO_DEEP}")
        if isinstance(node, yaml.MappingNode) and node.tag == _KEYS:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            return [self._value(inside, (*path, str(n))) for n, inside in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        raise _Fault(f"{_line(node, path)}: a tag (!name) that settings do not know; remove it")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        lines: dict[str, int] = {}
        own: dict[str, Any] = {}
        inherited: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = self._key(key_node, path), key_node.start_mark.line + 1
            if key in lines:
                first = lines[key]
                lines_text = f"both times in line {line}" if first == line else f"in lines {first} and {line}"
                raise _Fault(f"{join_key_path((*path, key))}: given twice, {lines_text}; remove one of them")
            lines[key] = line
            if key_node.tag == _MERGE:
                inherited = self._merge(value_node, path)
            else:
                own[key] = self._value(value_node, (*path, key))
        return {**inherited, **own}

    def _merge(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        """What a merge key (<<) brings: of several mappings the earlier one's value counts."""
        value = self._value(node, (*path, "<<"))
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise _Fault(f"{_line(node, path)}: << must be followed by keys and values, or a list of such")
        return {key: inside for mapping in reversed(mappings) for key, inside in mapping.items()}

    def _key(self, node: yaml.Node, path: KeyPath) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag in (_TEXT, _MERGE):
            if not _is_text(node.value):
                raise _Fault(f"{_line(node, path)}: a key with an invalid character; retype it")
            return str(node.value)
        raise _Fault(
            f"{_line(node, path)}: a key must be text; put a number, a date, true, false or null in quotes if it is "
            "meant as a key"
        )

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if node.tag in (_MERGE, _CORE + "value"):
            return node.value  # << and = as values are text
        if node.tag not in _SCALARS:
            raise _Fault(f"{_line(node, path)}: a tag (!name) that settings do not know; remove it")
        if node.tag == _CORE + "int" and _OCTAL.match(node.value):
            raise _Fault(f"{_line(node, path)}: a number that YAML reads in base 8; write it without the leading zero")
        try:
            return self.construct_object(node)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError):
            raise _Fault(
                f"{_line(node, path)}: not the number, date or true/false that it looks like; fix it, or put it in "
                "quotes if it is text"
            ) from None


def _line(node: yaml.Node, path: KeyPath = ()) -> str:
    line = f"line {node.start_mark.line + 1}"
    return f"{line}: {join_key_path(path)}" if path else line


def _reason(error: yaml.YAMLError, text: str) -> str:
    """Where a YAML fault is and what was expected, without quoting the text."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: a hidden character (number {error.character:#x}) not allowed in text; remove it"
    problem = str(getattr(error, "problem", None) or "it cannot be read")
    if isinstance(error, ComposerError):
        problem = next((words for phrase, words in _COMPOSING.items() if phrase in problem), "it cannot be read")
    problem = _QUOTED.sub("a name", problem.replace("'\\t'", "(a tab)"))
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem


def _fill(value: Any, variables: Mapping[str, str], path: KeyPath) -> Any:
    if isinstance(value, dict):
        return {key: _fill(inside, variables, (*path, key)) for key, inside in value.items()}
    if isinstance(value, list):
        return [_fill(inside, variables, (*path, str(n))) for n, inside in enumerate(value)]
    return _replace_variables(value, variables, path) if isinstance(value, str) else value


def _replace_variables(text: str, variables: Mapping[str, str], path: KeyPath) -> str:
    remaining = MAX_LETTERS

    def value_of(match: re.Match[str]) -> str:
        nonlocal remaining
        default: str | None = match[2]
        value = variables.get(match[1], default)
        if value is None:
            if path == _OPTIONAL:
                return ""
            raise _Fault(f"{join_key_path(path)}: ${{{match[1]}}} is not set; export {match[1]} or write it into .env")
        remaining -= len(value)
        if remaining < 0:
            raise _Fault(f"{join_key_path(path)}: {_TOO_LONG}")
        return value

    end = text.rfind("}") + 1  # behind it nothing can match, and looking for it takes long
    if "${" in _VARIABLE.sub("", text[:end]) + text[end:]:
        raise _Fault(
            f"{join_key_path(path)}: a ${{ that names no variable, or is not closed; write ${{NAME}}, and put a "
            "value with such characters into .env"
        )
    result = _VARIABLE.sub(value_of, text[:end]) + text[end:]
    if not _is_text(result):
        raise _Fault(f"{join_key_path(path)}: an invalid character, or bytes that are not UTF-8; retype it")
    return result


def _resolve_dotenv(values: Mapping[str, str | None], environment: Mapping[str, str], file: Path) -> dict[str, str]:
    """Values of a `.env` with the variables in them replaced by earlier ones, as python-dotenv does, within bounds."""
    variables: dict[str, str] = {}
    scope = ChainMap(variables, dict(environment))
    for name, value in values.items():
        if value is None:
            continue
        remaining, pieces = MAX_LETTERS, list[str]()
        end = value.rfind("}") + 1  # see `_replaced`
        for atom in (*parse_variables(value[:end]), Literal(value[end:])):
            pieces.append(atom.resolve(scope))
            remaining -= len(pieces[-1])
            if remaining < 0:
                raise SettingsError(f"{printable_path(file)}: {printable_key(name)}: {_TOO_LONG}")
        variables[name] = "".join(pieces)
    return variables


def _is_text(text: str) -> bool:
    """Whether it is Unicode text: YAML's escapes and the environment can make halves of characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
