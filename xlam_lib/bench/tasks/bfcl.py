"""The single-turn questions of the Berkeley Function-Calling Leaderboard (BFCL v4), as they ship in `bfcl-eval`.

Used by notebook 05. Each question becomes our types: function documents as tools with JSON Schema, messages as steps;
the codec writes the prompt. The raw documents stay beside them, for BFCL's own checker reads those (`bfcl_check.py`).
One raw line of questions, and the line of answers that belongs to it (each argument with its accepted values, "" for
"may be left out"):

    {"id": "simple_python_4", "question": [[{"role": "user", "content": "Solve ... a=2, b=6, and c=5"}]],
     "function": [{"name": "solve_quadratic_equation", "description": "...", "parameters":
                   {"type": "dict", "properties": {"a": {"type": "integer"}, ...}, "required": ["a", "b", "c"]}}]}
    {"id": "simple_python_4", "ground_truth": [{"solve_quadratic_equation": {"a": [2], "b": [6], "c": [5]}}]}

    questions = load("multiple")
    prompt(questions[0], BRIEF_STYLE), ground_truth(questions[0])
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.codec import SEED_STYLE, Answer, PromptStyle, history_steps, render_prompt, style_of
from xlam_lib.environments.bfcl_multi_turn import package
from xlam_lib.environments.bfcl_multi_turn.package import VERSION, BfclError, data_folder, rows
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

CATEGORIES = (
    "simple_python",
    "multiple",
    "parallel",
    "parallel_multiple",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "irrelevance",
    "live_irrelevance",
)
OTHER_LANGUAGES = {"simple_java": "java", "simple_javascript": "javascript"}  # values are literals of that language
NO_CALL = ("irrelevance", "live_irrelevance")  # right is: no call; they have no file of answers
ANY_CALL = ("live_relevance",)  # right is: some call, whichever; there is no file of answers, either
SINGLE_TURN = (*CATEGORIES, *OTHER_LANGUAGES, *ANY_CALL)
SOURCE = Source(
    "bfcl_v4", "Apache-2.0", url="https://github.com/ShishirPatil/gorilla", converter="xlam_lib.bench.tasks.bfcl"
)
BOXED = {"integer": "Integer", "char": "Character", "any": "Object"} | {
    name: name.capitalize() for name in ("long", "double", "float", "boolean")
}
PLAIN = {"integer": "int", "any": "Object"}
SUFFIXES = {"long": "L", "float": "f"}  # suffixes of Java's literals


@dataclass(frozen=True)
class Question:
    """One question: `functions` and `accepted` as shipped (for the checker), `asked` in our types (for the prompt)."""

    id: str
    category: str
    functions: tuple[dict[str, Any], ...]
    accepted: tuple[dict[str, Any], ...]  # for each expected call {name: {argument: [accepted values]}}
    asked: Trajectory

    @property
    def language(self) -> str:
        """`"python"`, `"java"` or `"javascript"`: how values are written."""
        return OTHER_LANGUAGES.get(self.category, "python")


def load(category: str, folder: str | Path | None = None) -> list[Question]:
    """The questions of one category in the order of the file, e.g. `load("simple_python")`: 400 of them."""
    if category not in SINGLE_TURN:
        raise BfclError(f"no category {category!r}; there are {', '.join(SINGLE_TURN)}")
    base, name = data_folder(folder), f"{VERSION}_{category}.json"
    answers = {}
    if category not in NO_CALL + ANY_CALL:
        found = rows(base / "possible_answer" / name, "id", "ground_truth")
        answers = {row["id"]: row["ground_truth"] for row in found}
    return [_question(row, category, answers) for row in rows(base / name, "id", "question", "function")]


def prompt(question: Question, style: PromptStyle = SEED_STYLE) -> str:
    """The prompt of a question; a system message of BFCL's replaces the style's task instruction."""
    style = style_of(question.asked, style)
    asked, history = history_steps(question.asked.steps, style.observations)
    return render_prompt(question.asked.tools, asked, history, style)


def ground_truth(question: Question) -> Answer:
    """The first accepted answer, e.g. one call `solve(a=2, b=6, c=5)`; arguments that may be left out are."""
    documents = {document["name"]: document for document in question.functions}
    calls = []
    for expected in question.accepted:
        (name, accepted), *more = expected.items()
        if more:
            raise BfclError(f"{question.id}: an expected call names {len(expected)} functions, one was expected")
        calls.append(ToolCall(name, _arguments(accepted, documents[name]["parameters"], question.language)))
    return Answer("", tuple(calls))


def tool_of(document: Mapping[str, Any], where: str, language: str = "python") -> Tool:
    """A function document as a tool: dict -> object, float -> number, tuple -> array, any -> no type named."""
    parameters = document["parameters"]
    if language == "python":
        return package.tool_of(document, where)
    properties = {name: _as_text(spec, language) for name, spec in parameters["properties"].items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters.get("required", []))}
    return Tool(document["name"], document["description"], schema)


def _question(row: dict[str, Any], category: str, answers: Mapping[str, list[dict[str, Any]]]) -> Question:
    if category not in NO_CALL + ANY_CALL and row["id"] not in answers:
        raise BfclError(f"{row['id']}: no line in possible_answer has this id; the two files don't belong together")
    if len(row["question"]) != 1:
        raise BfclError(f"{row['id']}: {len(row['question'])} turns; a single-turn question has one")
    language = OTHER_LANGUAGES.get(category, "python")
    tools = tuple(tool_of(document, row["id"], language) for document in row["function"])
    steps = tuple(Step(message["role"], message["content"], trainable=False) for message in row["question"][0])
    asked = Trajectory(f"bfcl_v4/{row['id']}", SOURCE, tools=tools, steps=steps, split="test", tags=(category,))
    return Question(row["id"], category, tuple(row["function"]), tuple(answers.get(row["id"], ())), asked)


def _as_text(spec: Mapping[str, Any], language: str) -> dict[str, Any]:
    """A Java or JavaScript parameter: BFCL wants its value as source text and tells the model so; so do we."""
    inner = (spec.get("items") or {}).get("type", "")
    kind = f"{spec['type']} of {inner}" if inner else spec["type"] or "any"
    hint = f"The value as text: a {kind} as written in {language.capitalize().replace('script', 'Script')}."
    return {"type": "string", "description": f"{spec.get('description', '').rstrip()} {hint}".lstrip()}


def _arguments(accepted: Mapping[str, list[Any]], parameters: Mapping[str, Any], language: str) -> dict[str, Any]:
    required = parameters.get("required", [])
    arguments = {}
    for name, values in accepted.items():
        if not values or ("" in values and name not in required):
            continue
        given = [value for value in values if value != ""] or values
        value, spec = _first(given), parameters.get("properties", {}).get(name, {})
        arguments[name] = value if language == "python" else literal(value, spec, language)
    return arguments


def _first(values: list[Any]) -> Any:
    """The first accepted value; inside an object, or a list of objects, each key lists its own accepted values."""
    value = values[0]
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [_object(item) for item in value]
    return value


def _object(accepted: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, values in accepted.items():
        if not isinstance(values, list):
            found[key] = values
        elif "" not in values and values:
            found[key] = values[0]
    return found


def literal(value: Any, spec: Mapping[str, Any], language: str) -> str:
    """A value as proper Java or JavaScript source; text that stands for a name or an expression stays: "System.out".

    Where BFCL's checker doesn't understand proper source (Java string arrays: it keeps the quotes) the question fails,
    and the report says so.

        >>> literal([101, 202], {"type": "ArrayList", "items": {"type": "long"}}, "java")
        'new ArrayList<Long>(Arrays.asList(101L, 202L))'
    """
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
