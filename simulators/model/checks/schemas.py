"""
Which JSON schemas of tools strict mode accepts, and which it refuses (DeepSeek's guide to tool calls, 2026-11).
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
_MAX_DEPTH = 32  # levels of nesting; deeper schemas are refused


def check_strict(name: str, schema: Any) -> None:
    """
    Refuse the schema of a strict function that the API would refuse.

    Args:
        name: name of the function.
        schema: its `parameters`.

    Raises:
        Refusal: a keyword that is not supported, or an object that is not closed.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _refusal(name, "parameters must be a schema of type object")
    _check(name, schema, "parameters", 0)


def _check(name: str, schema: Any, path: str, depth: int) -> None:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        raise _refusal(name, f"{path} is not a schema")
    kind = schema.get("type")
    if kind is not None and not (isinstance(kind, str) and kind in _KEYWORDS):
        raise _refusal(name, f"type {kind!r} at {path} is not supported")
    if kind is None and not {"anyOf", "$ref", "enum", "const"} & set(schema):
        raise _refusal(name, f"{path} has no type")
    unknown = sorted(set(schema) - _ANY - (_KEYWORDS[kind] if kind else frozenset()))
    if unknown:
        raise _refusal(name, f"keyword '{unknown[0]}' at {path} is not supported in strict mode")
    if str(schema.get("format", "email")) not in _FORMATS:
        raise _refusal(name, f"format {schema['format']!r} at {path} is not supported in strict mode")
    if kind == "object":
        _check_object(name, schema, path)
    for inner_path, inner in _inner_schemas(schema, path):
        _check(name, inner, inner_path, depth + 1)


def _check_object(name: str, schema: Mapping[str, Any], path: str) -> None:
    properties, required_names = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required_names, list):
        raise _refusal(name, f"{path} is not a schema")
    missing = [key for key in properties if key not in required_names]
    if missing:
        raise _refusal(name, f"property '{missing[0]}' at {path} must be in 'required'")
    if schema.get("additionalProperties") is not False:
        raise _refusal(name, f"'additionalProperties' at {path} must be false")


def _inner_schemas(schema: Mapping[str, Any], path: str) -> list[tuple[str, Any]]:
    schemas = []
    for part in ("properties", "$def", "$defs"):
        inner = schema.get(part, {})
        if not isinstance(inner, dict):
            return [(f"{path}.{part}", None)]
        schemas += [(f"{path}.{part}.{key}", value) for key, value in inner.items()]
    if "items" in schema:
        schemas.append((f"{path}.items", schema["items"]))
    choices = schema.get("anyOf", [])
    if not isinstance(choices, list):
        return [(f"{path}.anyOf", None)]
    return schemas + [(f"{path}.anyOf.{i}", value) for i, value in enumerate(choices)]


def _refusal(name: str, problem: str) -> Refusal:
    return Refusal(400, f"Invalid schema for function '{name}': {problem}", param="tools")
