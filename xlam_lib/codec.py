"""The codec: one place writes prompts and reads answers, so that training, serving and grading can't drift apart.

A prompt is a row of marked blocks (task instruction, available tools, format instruction, query, history), byte for
byte as the original xLAM models were given it. Answers live in `answers/` and are offered here too.

How a tool's result enters the history: as the JSON string of its text (`PromptStyle.observations = "text"`). A chat
template can't parse JSON, so this is the only rule that template and codec can both keep exactly, whatever a tool
returns. "decoded" embeds a result that is a JSON object or array as that value, as the published example prompt does;
it serves comparison with published models and has no chat template.

Used by all notebooks: `render_prompt(tools, "Weather in Oslo?")`, `parse_answer(text)`, `prompts_of(trajectory)`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from xlam_lib.answers import Answer, Parsed, calls_as_dicts, json_text, parse_answer, render_answer, same_calls
from xlam_lib.json_schema.references import BRANCHES, parameters_of
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory

__all__ = [
    "BLOCKS",
    "BLOCK_MARKS",
    "BRIEF_STYLE",
    "SEED_FORMAT_INSTRUCTION",
    "SEED_STYLE",
    "SEED_TASK_INSTRUCTION",
    "STYLES",
    "Answer",
    "Parsed",
    "PromptStyle",
    "answer_of",
    "block_of",
    "history_steps",
    "parse_answer",
    "prompts_of",
    "query_of",
    "read_tools",
    "render_answer",
    "render_prompt",
    "render_tools",
    "same_calls",
    "style_of",
    "tools_from_any",
]

BLOCKS = ("TASK INSTRUCTION", "AVAILABLE TOOLS", "FORMAT INSTRUCTION", "QUERY", "HISTORY STEPS")
BLOCK_MARKS = ("[BEGIN OF {0}]", "[END OF {0}]")  # the lines around a block; nowhere else are they written out

SEED_TASK_INSTRUCTION = (
    "Based on the previous context and API request history, generate an API request or a response as an AI assistant."
)
SEED_FORMAT_INSTRUCTION = """\
The output should be of the JSON format, which specifies a list of generated function calls. The example format is as \
follows, please make sure the parameter type is correct. If no function call is needed, please make
tool_calls an empty list "[]".
{"thought": "the thought process, or an empty string", "tool_calls": [{"name": "api_name1", "arguments": \
{"argument1": "value1", "argument2": "value2"}}]}"""


@dataclass(frozen=True)
class PromptStyle:
    """What may differ between prompts: `PromptStyle(task_instruction="Be brief.", mark_required=True)`."""

    task_instruction: str = SEED_TASK_INSTRUCTION
    format_instruction: str = SEED_FORMAT_INSTRUCTION
    mark_required: bool = False  # "required": true or false beside each parameter
    observations: Literal["text", "decoded"] = "text"


SEED_STYLE = PromptStyle()
BRIEF_STYLE = PromptStyle(  # short, for a small model on a CPU
    task_instruction="Answer the request with calls to the tools.",
    format_instruction='{"thought": "", "tool_calls": [{"name": "", "arguments": {}}]}',
    mark_required=True,
)
STYLES = {"seed": SEED_STYLE, "brief": BRIEF_STYLE}


def render_tools(tools: Iterable[Tool], mark_required: bool = False) -> list[dict[str, Any]]:
    """Tools in xLAM's concise form, parameters being the properties alone, references among them written out.

    Parameters that can't be said so (a tree that contains itself, a choice of objects) are the JSON Schema as it is.
    Example: [{"name": "weather", "description": "...", "parameters": {"city": {"type": "string", "required": true}}}]
    """
    return [
        {"name": tool.name, "description": tool.description, "parameters": _parameters(tool.parameters, mark_required)}
        for tool in tools
    ]


def _parameters(schema: dict[str, Any], mark_required: bool) -> dict[str, Any]:
    known = parameters_of(schema)
    if known is None:
        return schema
    return _marked_table(*known) if mark_required else known[0]


def _marked_table(properties: dict[str, Any], required: Container[str]) -> dict[str, Any]:
    return {name: _marked(spec, name in required) for name, spec in properties.items()}


def _marked(spec: Any, required: bool) -> Any:
    """A parameter that says whether it is required; inside an object each of its parameters says so."""
    if not isinstance(spec, dict):
        return spec
    inside = spec.get("required") or []
    marked = {
        key: _marked_table(value or {}, inside) if key == "properties" else value
        for key, value in spec.items()
        if key != "required"
    }
    return {**marked, "required": required}


def read_tools(rendered: Iterable[dict[str, Any]], mark_required: bool = False) -> list[Tool]:
    """The tools of which `render_tools` made this, as far as it is known: what is required only if it was marked.

    Example: `read_tools(render_tools([Tool("now")]))` -> [Tool("now")]
    """
    found = []
    for tool in rendered:
        parameters = tool["parameters"]
        if not isinstance(parameters.get("type"), str):  # else it is JSON Schema already
            parameters = {"type": "object", **(_unmarked(parameters) if mark_required else {"properties": parameters})}
        found.append(Tool(tool["name"], tool["description"], parameters))
    return found


def tools_from_any(tools: Iterable[dict[str, Any]]) -> list[Tool]:
    """Tools from OpenAI dicts, bare dicts with a JSON Schema, or xLAM's concise form, marked required or not.

    Example: `tools_from_any([{"name": "now", "parameters": {}}])` -> [Tool("now")]
    """
    found = []
    for index, given in enumerate(tools):
        tool = given.get("function", given) if isinstance(given, dict) else given
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise ValueError(f"tool {index}: expected an object with a name, bare or under 'function', found {given!r}")
        parameters = tool.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise ValueError(f"tool {index} ({tool['name']!r}): parameters are {parameters!r}, expected an object")
        found.append(Tool(tool["name"], tool.get("description") or "", _schema(parameters)))
    return found


def _schema(parameters: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema as it is; xLAM's concise parameters, which are objects by name, as JSON Schema."""
    properties = parameters.get("properties")
    if isinstance(parameters.get("type"), str):
        return parameters
    if isinstance(properties, dict) and all(isinstance(spec, dict | bool) for spec in properties.values()):
        return {"type": "object", **parameters}
    if isinstance(parameters.get("$ref"), str) or any(isinstance(parameters.get(key), list) for key in BRANCHES):
        return {"type": "object", **parameters}
    return {"type": "object", **_unmarked(parameters)}


def _unmarked(properties: dict[str, Any]) -> dict[str, Any]:
    """{"properties": ..., "required": [...]} from parameters that say themselves whether they are required."""
    plain, required = {}, []
    for name, spec in properties.items():
        if isinstance(spec, dict) and isinstance(spec.get("required"), bool):
            required += [name] if spec["required"] else []
            inner = {key: value for key, value in spec.items() if key != "required"}
            spec = {**inner, **_unmarked(inner["properties"])} if isinstance(inner.get("properties"), dict) else inner
        plain[name] = spec
    return {"properties": plain, **({"required": required} if required else {})}


def render_prompt(
    tools: Iterable[Tool], query: str, history: Sequence[dict[str, Any]] = (), style: PromptStyle = SEED_STYLE
) -> str:
    """The prompt of one turn; the history block appears only when there is a history (see `history_steps`).

    Example: '[BEGIN OF TASK INSTRUCTION]\\nBased on ...\\n[END OF QUERY]\\n\\n'
    """
    texts = (
        style.task_instruction,
        json_text(render_tools(tools, style.mark_required)),
        style.format_instruction,
        query,
    )
    prompt = "".join(f"{_block(name, text)}\n" for name, text in zip(BLOCKS[:-1], texts, strict=True))
    return prompt + (f"\n{_block(BLOCKS[-1], json_text(list(history)))}" if history else "")


def _block(name: str, text: str) -> str:
    begin, end = (mark.format(name) for mark in BLOCK_MARKS)
    return f"{begin}\n{text}\n{end}\n"


def block_of(prompt: str, name: str) -> str | None:
    """The text of a prompt's first block of this name: `block_of(prompt, "QUERY")` -> 'Weather in Oslo?'; or None."""
    begin, end = (mark.format(name) for mark in BLOCK_MARKS)
    _, begun, rest = prompt.partition(f"{begin}\n")
    text, ended, _ = rest.partition(f"\n{end}")
    return text if begun and ended else None


def query_of(prompt: str) -> str:
    """What the user asks in a prompt, "" where nothing is asked: 'Weather in Oslo?'."""
    return block_of(prompt, "QUERY") or ""


def history_steps(
    steps: Sequence[Step], observations: Literal["text", "decoded"] = "text"
) -> tuple[str, list[dict[str, Any]]]:
    """(query, history) of messages; a system step is not part of it.

    The query is what the user writes before the assistant's first turn. Each assistant turn makes one entry with the
    results of its calls and what the user wrote next, consecutive user messages joined by a newline:
    {"step_id": 1, "thought": "", "tool_calls": [...], "next_observation": "...", "user_input": "..."}, the last key
    only after a user message. The result of a turn's only call is its text; where several calls were made, or several
    results came, they are [{"name", "content"}, ...] in the order of the calls, however many there are; none is "".
    """
    query: list[str] = []
    turns: list[tuple[Step, list[Step], list[str]]] = []
    for index, step in enumerate(steps):
        if step.role == "assistant":
            turns.append((step, [], []))
        elif step.role == "user":
            (turns[-1][2] if turns else query).append(step.content)
        elif step.role == "tool":
            if not turns:
                raise ValueError(f"step {index}: a tool result before the assistant's first turn")
            turns[-1][1].append(step)
    history = []
    for number, (turn, results, inputs) in enumerate(turns, start=1):
        answer = answer_of(turn)
        entry = {
            "step_id": number,
            "thought": answer.thought,
            "tool_calls": calls_as_dicts(answer.calls),
            "next_observation": _observation(turn.tool_calls, results, observations),
        }
        history.append({**entry, "user_input": "\n".join(inputs)} if inputs else entry)
    return "\n".join(query), history


def _observation(calls: Sequence[ToolCall], results: Sequence[Step], observations: str) -> Any:
    if not results:
        return ""
    if len(results) == 1 and len(calls) <= 1:
        return _content(results[0].content, observations)
    ids = [call.id for call in calls]
    ordered = [
        (call.name, result)
        for call in calls
        for result in results
        if result.tool_call_id and result.tool_call_id == call.id
    ]
    ordered += [("", result) for result in results if not result.tool_call_id or result.tool_call_id not in ids]
    return [
        {"name": result.name or name, "content": _content(result.content, observations)} for name, result in ordered
    ]


def _content(text: str, observations: str) -> Any:
    if observations == "decoded" and text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def answer_of(step: Step) -> Answer:
    """An assistant step as the model writes it; reasoning and content together make the thought."""
    if step.role != "assistant":
        raise ValueError(f"only an assistant step is an answer, this one is a {step.role} step")
    thought = "\n".join(filter(None, (step.reasoning, step.content)))
    return Answer(thought, tuple(ToolCall(call.name, call.arguments) for call in step.tool_calls))


def style_of(trajectory: Trajectory, style: PromptStyle = SEED_STYLE) -> PromptStyle:
    """The style with the trajectory's own task instruction: its system step's, else its task's, else the style's."""
    system = trajectory.steps[0].content if trajectory.steps and trajectory.steps[0].role == "system" else ""
    return replace(style, task_instruction=system or trajectory.task.instruction or style.task_instruction)


def prompts_of(trajectory: Trajectory, style: PromptStyle = SEED_STYLE) -> list[tuple[int, str, str]]:
    """(step index, prompt, completion) of each trainable assistant step: [(1, '[BEGIN OF ...', '{"thought": ...')]."""
    style = style_of(trajectory, style)
    rows = []
    for index, step in enumerate(trajectory.steps):
        if step.role == "assistant" and step.trainable:
            query, history = history_steps(trajectory.steps[:index], style.observations)
            rows.append((index, render_prompt(trajectory.tools, query, history, style), render_answer(answer_of(step))))
    return rows
