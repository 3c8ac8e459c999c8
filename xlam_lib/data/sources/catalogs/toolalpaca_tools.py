"""ToolAlpaca's tools: descriptions in prose with the parameters as JSON of prose -> JSON Schema.

    getAxolotlFacts: Retrieve interesting facts about axolotls.
    Parameters: {"category": "Required. string. One of: [habits, habitat]. The ...", "limit": "integer."}
    Output: Successful response.

Used by `sources/calls/toolalpaca.py` (notebook 01): `tools_of({"f": "Does it.\\nParameters: {}\\nOutput: Done.",
...})`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import cached_by_value
from xlam_lib.data.formats.native_actions import json_object
from xlam_lib.trajectory import Tool

PARAMETERS = re.compile(r"^Parameters: ?(\{.*?\}) *$", re.MULTILINE)
PROSE = re.compile(
    r"(?P<required>Required\. ?)?(?P<type>Array\[.*\]|Object\{.*\}|\w+)\.?"
    r"(?: One of: \[(?P<enum>[^\]]*)\]\.?)? ?(?P<text>.*)",
    re.DOTALL,
)
TYPES = ("string", "integer", "number", "boolean")


def _own(name: str, description: str, parameters: dict[str, str]) -> Tool:
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(parameters)})


GET_DETAILS = _own(
    "getDetails",
    "Ask the user for missing information that is needed to answer.",
    {"Question": "The question to prompt user to provide sufficient information."},
)
RETRIEVAL = _own(
    "retrievalDataFromFile",
    "Retrieve information from a file that a too long output was written to.",
    {"file_path": "The path to the file.", "query": "The information to be retrieved from the file."},
)


def tools_of(descriptions: dict[str, Any], retrieval: bool = False) -> list[Tool]:
    """The tools of an API, and those of the agent itself."""
    made = [_tool([], name, text) for name, text in descriptions.items() if name != "components"]
    return [*made, GET_DETAILS, *([RETRIEVAL] if retrieval else [])]


def described(text: str, retrieval: bool = False) -> list[Tool]:
    """The tools of a documentation in which the descriptions follow each other, each behind its name."""
    starts = list(_beginnings(text))
    ends = [found.start() for found in starts[1:]] + [len(text)]
    descriptions = {found[1]: text[found.end() : end].strip() for found, end in zip(starts, ends, strict=False)}
    return tools_of(descriptions, retrieval)


def _beginnings(text: str) -> Iterator[re.Match[str]]:
    """Where a description begins: behind it "Parameters:" follows before the next "Output:"."""
    parts = {found.start(): found[1] for found in re.finditer(r"^(Parameters|Output):", text, re.MULTILINE)}
    places = list(parts)
    for found in re.finditer(r"^([\w.\-]+): ", text, re.MULTILINE):
        following = bisect_left(places, found.end())
        if found[1] in ("Parameters", "Output") or following == len(places):
            continue
        if parts[places[following]] == "Parameters":
            yield found


@cached_by_value
def _tool(notes: list[str], name: str, text: Any) -> Tool:
    if not isinstance(text, str) or not name:
        raise Drop("tool description is not text", f"{name}: {str(text)[:80]!r}")
    found = PARAMETERS.search(text)
    table = json_object(found[1]) if found else None
    if found and table is None:
        raise Drop("a tool that can't be read", f"{name}: {found[1][:120]}")
    properties, required = {}, []
    for key, prose in (table or {}).items():
        schema, needed = _schema(prose)
        properties[key] = schema
        required += [key] if needed else []
    about = (text[: found.start()] + text[found.end() :]).strip() if found else text.strip()
    return Tool(name, about, {"type": "object", "properties": properties, "required": required})


def _schema(prose: Any) -> tuple[dict[str, Any], bool]:
    """("Required. string. One of: [a, b]. Text") -> ({"type": "string", "enum": [...], "description": ...}, True)."""
    found = PROSE.fullmatch(prose) if isinstance(prose, str) else None
    if not found:
        return {"description": str(prose)}, False
    kind = found["type"]
    known = "array" if kind.startswith("Array") else "object" if kind.startswith("Object") else kind.lower()
    if known not in (*TYPES, "array", "object"):
        return {"description": prose.removeprefix("Required. ")}, bool(found["required"])
    schema: dict[str, Any] = {"type": known}
    if known == "array" and kind[6:-1] in TYPES:
        schema["items"] = {"type": kind[6:-1]}
    if found["enum"] and known == "string":
        schema["enum"] = [item.strip() for item in found["enum"].split(",")]
    whole = known == kind.lower() or "items" in schema
    about = found["text"].strip() if whole else f"{kind}. {found['text'].strip()}".strip()
    if about:
        schema["description"] = about
    return schema, bool(found["required"])
