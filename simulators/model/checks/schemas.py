"""
What strict mode takes of a tool's JSON schema, and what it refuses (DeepSeek's guide to tool calls, 2026-11).
"""

from collections.abc import Mapping
from typing import Any

from simulators.model.errors import Refusal

_ANY = frozenset({"type", "description", "title", "enum", "anyOf", "$ref", "$def", "$defs", "const", "default"})
_NUMBER = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "string": frozenset({"pattern", "format"}),
    "number": _NUMBER,
    "integer": _NUMBER,
    "boolean": frozenset(),
    "array": frozenset({"items"}),
}
_FORMATS = frozenset({"email", "hostname", "ipv4", "ipv6", "uuid"})
_DEEPEST = 32


def check_strict(name: str, schema: Any) -> None:
    """
    Refuse the schema of a strict function that the API would refuse.

    Args:
        name: of the function. schema: its `parameters`.

    Raises:
        Refusal: a keyword that is not supported, or an object that is not closed.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _refused(name, "parameters must be a schema of type object")
    _check(name, schema, "parameters", 0)


def _check(name: str, schema: Any, path: str, depth: int) -> None:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        raise _refused(name, f"{path} is not a schema")
    kind = schema.get("type")
    if kind is not None and not (isinstance(kind, str) and kind in _KEYWORDS):
        raise _refused(name, f"type {kind!r} at {path} is not supported")
    if kind is None and not {"anyOf", "$ref", "enum", "const"} & set(schema):
        raise _refused(name, f"{path} has no type")
    unknown = sorted(set(schema) - _ANY - (_KEYWORDS[kind] if kind else frozenset()))
    if unknown:
        raise _refused(name, f"keyword '{unknown[0]}' at {path} is not supported in strict mode")
    if str(schema.get("format", "email")) not in _FORMATS:
        raise _refused(name, f"format {schema['format']!r} at {path} is not supported in strict mode")
    if kind == "object":
        _check_object(name, schema, path)
    for below, found in _below(schema, path):
        _check(name, found, below, depth + 1)


def _check_object(name: str, schema: Mapping[str, Any], path: str) -> None:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise _refused(name, f"{path} is not a schema")
    missing = [each for each in properties if each not in required]
    if missing:
        raise _refused(name, f"property '{missing[0]}' at {path} must be in 'required'")
    if schema.get("additionalProperties") is not False:
        raise _refused(name, f"'additionalProperties' at {path} must be false")


def _below(schema: Mapping[str, Any], path: str) -> list[tuple[str, Any]]:
    found = []
    for part in ("properties", "$def", "$defs"):
        inner = schema.get(part, {})
        if not isinstance(inner, dict):
            return [(f"{path}.{part}", None)]
        found += [(f"{path}.{part}.{key}", value) for key, value in inner.items()]
    if "items" in schema:
        found.append((f"{path}.items", schema["items"]))
    choices = schema.get("anyOf", [])
    if not isinstance(choices, list):
        return [(f"{path}.anyOf", None)]
    return found + [(f"{path}.anyOf.{at}", value) for at, value in enumerate(choices)]


def _refused(name: str, what: str) -> Refusal:
    return Refusal(400, f"Invalid schema for function '{name}': {what}", param="tools")
