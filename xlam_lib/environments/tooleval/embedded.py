"""An API collection of our own: 13 tools with 32 APIs in seven categories, and queries whose answers are known.

Made for this library, of invented facts, so that notebook 05 and tests need no download. `embedded.json` holds the
tools as ToolBench does, tables from which each API answers, and the queries: those to train on use six tools in four
categories, those to test on are of the three published kinds. What an answer must state stands in braces:

    "answer": "In Lisbon it is {19} degrees Celsius and the sky is {clear}."

    tree().find("Weather", "Sky Report", "Current weather")
    solved("test")[0].query.facts                       # ("-2", "2.7")
    VirtualServer(tree(), answerers=(answer,))           # `server()`
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from xlam_lib.agents.base import tool_result
from xlam_lib.agents.manual import Example
from xlam_lib.environments.tooleval.answers import FINISH
from xlam_lib.environments.tooleval.apis import Api, Tree, read_api, safe_name, standard_name
from xlam_lib.environments.tooleval.queries import Query
from xlam_lib.environments.tooleval.server import Answer, VirtualServer
from xlam_lib.environments.tooleval.server import Example as Recorded
from xlam_lib.schema import Step, ToolCall

FACT = re.compile(r"\{([^{}]*)\}")
NO_ENTRY = "Message error..."  # ToolBench's words for an answer that holds a message of error


@dataclass(frozen=True)
class Solved:
    """A query with the calls that solve it and its answer; thoughts and plan where it is shown as an example."""

    query: Query
    calls: tuple[ToolCall, ...]  # `Finish` last
    thoughts: tuple[str, ...] = ()
    plan: str = ""


@cache
def _data() -> dict[str, Any]:
    return json.loads(resources.files(__package__).joinpath("embedded.json").read_text(encoding="utf-8"))


@cache
def tree() -> Tree:
    """All 32 APIs, with a line on each tool: `len(tree())` -> 32."""
    tools = _data()["tools"]
    apis = (read_api(raw, "", tool["category"], tool["tool_name"]) for tool in tools for raw in tool["api_list"])
    return Tree(apis, {standard_name(tool["tool_name"]): tool["tool_description"] for tool in tools})


@cache
def _rules() -> dict[tuple[str, str, str], dict[str, Any]]:
    """How each API answers: by which columns of which table, and what it gives of it."""
    raw = [one for tool in _data()["tools"] for one in tool["api_list"]]
    return {api.key: one["answer"] for api, one in zip(tree(), raw, strict=True)}


def answer(api: Api, arguments: Mapping[str, Any], examples: Sequence[Recorded] = ()) -> Answer | None:
    """What an API of ours answers, from the tables; None for any other API.

    Example: `answer(api, {"city": "oslo"})` -> {"error": "", "response": {"celsius": 3, "sky": "light snow", ...}}.
    """
    rule = _rules().get(api.key)
    if rule is None:
        return None
    names = [safe_name(one.name) for one in api.required]
    if unknown := next((name for name in arguments if name not in names), ""):
        return _error(f"got an unexpected keyword argument '{unknown[:100]}'")
    if missing := [name for name in names if name not in arguments]:
        return _error(f"missing 1 required argument: '{missing[0]}'")
    rows = [
        row
        for row in _data()["tables"][rule["table"]]
        if all(_same(arguments[name], row[column]) for name, column in rule["by"].items())
    ]
    times = rule.get("times", {})
    if not rows or not all(_is_number(arguments[name]) for name in times):
        shown = ", ".join(f"{name}={_shown(arguments[name])}" for name in names)
        return _error(f"no entry for {shown}")
    found = [{field: row[field] for field in rule["give"]} for row in rows]
    for name, column in times.items():
        found[0]["result"] = round(float(arguments[name]) * rows[0][column], 2)
    return {"error": "", "response": found if rule.get("many") else found[0]}


def _error(message: str) -> Answer:
    return {"error": NO_ENTRY, "response": {"message": message}}


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:100])
    return str(value) if _is_number(value) else type(value).__name__


def _same(given: Any, known: Any) -> bool:
    """Whether a row is meant, whether its id is given as a number or as text."""
    given = str(given) if _is_number(given) else given
    return isinstance(given, str) and given.strip().casefold() == str(known).casefold()


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\d{1,15}(?:\.\d{1,15})?", value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def server() -> VirtualServer:
    """The virtual server of our collection, with nothing recorded yet."""
    return VirtualServer(tree(), answerers=(answer,))


@cache
def solved(split: str = "test") -> tuple[Solved, ...]:
    """The queries of a split, "train" or "test", with their solutions: `len(solved())` -> 45."""
    raw = [one for one in _data()["queries"] if (one["set"] == "train") == (split == "train")]
    return tuple(_solved(one, number) for number, one in enumerate(raw))


def _solved(raw: Mapping[str, Any], number: int) -> Solved:
    apis = tuple(api for tool in raw["tools"] for api in tree() if api.tool == tool)
    by_name = {(api.tool, api.name): api for api in apis}
    relevant = tuple(dict.fromkeys((tool, api) for tool, api, _ in raw["calls"]))
    facts = tuple(FACT.findall(raw["answer"]))
    query = Query(f"{raw['set']}/{number}", raw["text"], apis, raw["set"], relevant, facts)
    calls = [ToolCall(by_name[tool, api].function.name, arguments) for tool, api, arguments in raw["calls"]]
    final = {"return_type": "give_answer", "final_answer": FACT.sub(r"\1", raw["answer"])}
    return Solved(query, (*calls, ToolCall(FINISH, final)), tuple(raw.get("thoughts", ())), raw.get("plan", ""))


@cache
def examples() -> tuple[Example, ...]:
    """Solved episodes with thoughts and a plan, one for each tool to train on."""
    return tuple(_example(one) for one in solved("train") if one.thoughts)


def examples_for(query: Query) -> tuple[Example, ...]:
    """Those that call nothing but functions of a query: none where its tools are new, as those sets intend."""
    offered = {tool.name for tool in query.functions}
    return tuple(
        one for one in examples() if all(call.name in offered for step in one.steps for call in step.tool_calls)
    )


def _example(one: Solved) -> Example:
    steps = [Step("user", one.query.text)]
    for number, (call, thought) in enumerate(zip(one.calls, one.thoughts, strict=True)):
        call = ToolCall(call.name, call.arguments, f"call_{number}")
        steps.append(Step("assistant", reasoning=thought, tool_calls=(call,), reasoning_origin="native"))
        if call.name != FINISH:
            response = answer(one.query.by_function[call.name], call.arguments)
            steps.append(tool_result(call, json.dumps(response)))
    return Example(tuple(steps), one.plan)
