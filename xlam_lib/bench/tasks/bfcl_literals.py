"""Values as Java and JavaScript source text, as BFCL's checker wants them in its two categories of those languages.

Used by `bfcl.ground_truth`. The text is proper source of its language; where the checker doesn't understand proper
source (Java string arrays: it keeps the quotes) the question fails, and the report says so.

    >>> literal([101, 202], {"type": "ArrayList", "items": {"type": "long"}}, "java")
    'new ArrayList<Long>(Arrays.asList(101L, 202L))'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

BOXED = {"integer": "Integer", "char": "Character", "any": "Object"} | {
    name: name.capitalize() for name in ("long", "double", "float", "boolean")
}
PLAIN = {"integer": "int", "any": "Object"}
SUFFIXES = {"long": "L", "float": "f"}


def literal(value: Any, spec: Mapping[str, Any], language: str) -> str:
    """Source text of a value; text that stands for a name or an expression stays, e.g. "System.out"."""
    if isinstance(value, str):
        return value
    return _java(value, spec) if language == "java" else _javascript(value, spec)


def _java(value: Any, spec: Mapping[str, Any]) -> str:
    kind, inner = spec.get("type"), (spec.get("items") or {}).get("type", "any")
    if isinstance(value, dict):
        puts = " ".join(f"put({_quoted(key)}, {_java_value(item, 'any')});" for key, item in value.items())
        return f"new HashMap<String, Object>() {{{{ {puts} }}}}"
    if isinstance(value, list):
        items = ", ".join(_java_value(item, inner) for item in value)
        if kind == "Array":
            return f"new {PLAIN.get(inner, inner)}[]{{{items}}}"
        return f"new ArrayList<{BOXED.get(inner, inner)}>(Arrays.asList({items}))"
    return _java_value(value, kind or "any")


def _java_value(value: Any, kind: str) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value}{SUFFIXES.get(kind, '')}"


def _javascript(value: Any, spec: Mapping[str, Any]) -> str:
    if spec.get("type") == "float":
        value = float(value)
    if isinstance(value, list):
        return f"[{', '.join(_javascript_value(item) for item in value)}]"
    return _javascript_value(value)


def _javascript_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
