"""xlam-function-calling-60k: one query, its tools, and the right calls; also as masked by Hammer (notebook 01).

Raw row (tools and answers are JSON *text*):

    {"id": 1234, "query": "Please split the list [10, 20, 30, 40, 50, 60] into chunks of size 4, and also find the ...",
     "answers": "[{\\"name\\": \\"split_list\\", \\"arguments\\": {\\"lst\\": [10, ...], \\"chunk_size\\": 4}}, ...]",
     "tools": "[{\\"name\\": \\"split_list\\", \\"description\\": \\"Splits a list into chunks of a specified size.\\",
               \\"parameters\\": {\\"lst\\": {\\"description\\": \\"...\\", \\"type\\": \\"List\\"}, ...}}, ...]"}

Decisions, from looking at the rows:
- `parameters` is a flat table of parameters with Python types as text; it becomes JSON Schema (`schemas.py`), the text
  stays in `extra["python_types"]`. A type that isn't understood allows any value, and a keyword with a value that JSON
  Schema refuses ("examples": "a, b") goes to `extra["unknown_types"]`; both are counted as warnings.
- `default` is kept as it stands, though its type is often wrong ("default": "72" for an int).
- A parameter is *required* when its type doesn't say "optional" and no default is given; `"default": ""` is how the
  API export writes "none", so it doesn't make a parameter optional.
- Answers that don't fit these types (46.9 for an "int") are kept and counted as warnings: the types are hints.
- Several calls are one parallel turn without results: the trajectory ends there. No calls means that no tool fits; as
  the unified format has no silent turn, it gets the thought NO_CALL, marked as generated.

Hammer's form `{"instruction": prompt with [BEGIN OF ...] blocks, "input": "", "output": "```\\n[calls]\\n```"}` holds
the same rows with names replaced by random ones; it has no ids, so they are made from the content.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.codec import BLOCK_MARKS, block_of
from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import (
    FORMAT_BLOCK,
    SourceInfo,
    cached_by_value,
    content_id,
    need,
    need_declared,
    need_json,
    need_objects,
    unique_tools,
)
from xlam_lib.data.formats.chat import RawCall, StepBuilder
from xlam_lib.data.formats.schemas import parse_annotation
from xlam_lib.data.formats.tool_forms import keywords, parameters_schema
from xlam_lib.trajectory import Step, Task, Tool, Trajectory

SOURCE = SourceInfo(
    name="xlam_fc_60k",
    license="CC-BY-4.0",
    url="https://huggingface.co/datasets/Salesforce/xlam-function-calling-60k",
    files=("xlam_function_calling_60k.json",),
    hub_id="Salesforce/xlam-function-calling-60k",
    version="2",
    fields=("id", "query", "answers", "tools", "instruction", "input", "output"),
    layout={
        FORMAT_BLOCK: "how to answer, of the masked form",
        r"\[(BEGIN|END) OF [A-Z ]+\]": "marks of the blocks",
    },
    samples={"transcribed_rows.json": (0, 1, 2), "hammer_masking_sft_example.json": (0, 2, 3)},
)
HAMMER = {"license": "CC-BY-4.0 AND Apache-2.0", "url": "https://github.com/MadeAgents/Hammer"}
NO_CALL = "None of the tools can do this."
FENCE = "```"


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One row -> one trajectory: user, then one assistant turn with all calls."""
    masked = "instruction" in record and "query" not in record
    row = _unmasked(record) if masked else record
    query = need(row, "query", str).strip()
    if not query:
        raise Drop("empty query")
    raw_tools = need_objects(need_json(row, "tools"), "tools")
    answers = need_objects(need_json(row, "answers"), "answers")
    types: dict[str, dict[str, str]] = {}
    notes: list[str] = []
    tools = unique_tools([_listed(tool, types, notes) for tool in raw_tools])
    steps, repairs = _steps(query, answers)
    need_declared([call.name for call in steps[-1].tool_calls], tools)
    raw_id = str(row["id"]) if isinstance(row.get("id"), int | str) and row["id"] != "" else content_id(record)
    raw_id = f"hammer-{raw_id}" if masked else raw_id
    extra = {"python_types": types, "repairs": repairs, "unknown_types": notes}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id, **(HAMMER if masked else {})),
            task=Task(row.get("task_instruction", ""), task_id=raw_id),
            tools=tools,
            steps=steps,
            tags=("no_call" if not answers else "single" if len(answers) == 1 else "parallel",),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def _steps(query: str, answers: list[dict[str, Any]]) -> tuple[tuple[Step, ...], list[str]]:
    builder = StepBuilder()
    builder.user(query)
    if not answers:
        return (*builder.steps, Step("assistant", reasoning=NO_CALL, reasoning_origin="generated")), []
    builder.assistant(calls=[RawCall(need(a, "name", str), need(a, "arguments", object)) for a in answers])
    return tuple(builder.steps), builder.repairs


def _listed(raw: dict[str, Any], types: dict[str, dict[str, str]], notes: list[str]) -> Tool:
    tool, texts = _tool(notes, raw)
    if texts:
        types[tool.name] = texts
    return tool


@cached_by_value
def _tool(notes: list[str], raw: dict[str, Any]) -> tuple[Tool, dict[str, str]]:
    """A tool and the Python types of its parameters, where JSON Schema has another word."""
    name, description = need(raw, "name", str), raw.get("description") or ""
    if not isinstance(description, str):
        raise Drop("tool description is not text", f"{name}: {str(description)[:80]!r}")
    flat = raw.get("parameters") or {}
    if not isinstance(flat, dict):
        raise Drop("tool parameters are not an object", f"{name}: {str(flat)[:80]!r}")
    if flat.get("type") == "object" and isinstance(flat.get("properties"), dict):
        return Tool(name, description, parameters_schema(flat, name, notes)), {}  # JSON Schema already
    properties, required, texts = {}, [], {}
    for parameter, spec in flat.items():
        if not isinstance(spec, dict):
            raise Drop("a parameter is not an object", f"{name}.{parameter}: {str(spec)[:80]!r}")
        text = spec.get("type") if isinstance(spec.get("type"), str) else ""
        annotation = parse_annotation(text or "any")
        properties[parameter] = {**annotation.schema, **keywords(spec, f"{name}.{parameter}", notes)}
        if not annotation.known:
            notes.append(f"{name}.{parameter}: {text}")
        if not annotation.optional and spec.get("default", "") == "" and spec.get("required") is not False:
            required.append(parameter)
        if text and annotation.schema != {"type": text}:
            texts[parameter] = text
    return Tool(name, description, {"type": "object", "properties": properties, "required": required}), texts


def _unmasked(record: dict[str, Any]) -> dict[str, Any]:
    """A Hammer record in the shape of a native row."""
    prompt, output = need(record, "instruction", str), need(record, "output", str)
    return {
        "task_instruction": _block(prompt, "TASK INSTRUCTION"),
        "tools": _block(prompt, "AVAILABLE TOOLS"),
        "query": _block(prompt, "QUERY"),
        "answers": _unfenced(output),
    }


def _unfenced(text: str) -> str:
    """What stands in the one code fence that a text is, or the text itself."""
    whole = text.strip()
    if len(whole) < 2 * len(FENCE) or not (whole.startswith(FENCE) and whole.endswith(FENCE)):
        return text
    return whole[len(FENCE) : -len(FENCE)].removeprefix("json").strip()


def _block(prompt: str, title: str) -> str:
    text = block_of(prompt, title)
    if text is None:
        raise Drop("prompt without a block", f"no {' ... '.join(BLOCK_MARKS).format(title)}")
    return text.strip()
