"""The conversations of BFCL v4's multi-turn categories, as they ship in `bfcl-eval`, and a few of our own to practise.

Used by this environment and its benchmark (notebook 05). One raw line of questions, shortened, and its line of answers:

    {"id": "multi_turn_miss_func_1", "question": [[{"role": "user", "content": "I am alex. Check if ..."}], [], ...],
     "initial_config": {"GorillaFileSystem": {"root": {"alex": {"type": "directory", "contents": {...}}}}},
     "involved_classes": ["GorillaFileSystem"], "missed_function": {"1": ["mv"]}, "excluded_function": ["cp"], ...}
    {"id": "multi_turn_miss_func_1", "ground_truth": [["ls(a=True)"], [], ["mv(source='log.txt', ...)", ...], ...]}

A turn without words is where functions come that were held out until then; no code of the authors reads `path` and
`excluded_function`. Example: `load("multi_turn_base")[0].turns[0]` -> "Move 'final_report.pdf' within ...".
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from xlam_lib.environments.bfcl_multi_turn.package import VERSION, BfclError, data_folder, rows, tool_of
from xlam_lib.schema import Tool, ToolCall

CATEGORIES = ("multi_turn_base", "multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context")
PRACTICE = Path(__file__).with_name("practice.json")
DOCUMENTS = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}  # class -> its file in multi_turn_func_doc/


@dataclass(frozen=True)
class Scenario:
    """One conversation: what the user says, which functions there are, and the calls that would do what is asked."""

    id: str
    category: str
    turns: tuple[str, ...]  # "" where nothing but new functions comes
    tools: tuple[Tool, ...]  # from the beginning
    later: Mapping[int, tuple[Tool, ...]]  # by the turn in which they come
    classes: tuple[str, ...]  # systems that the functions belong to
    config: Mapping[str, Any]  # how each system stands at the beginning
    answers: tuple[tuple[str, ...], ...]  # for each turn, the calls as shipped: ("cd(folder='temp')",)
    results: tuple[tuple[str, ...], ...] = field(default=(), repr=False)  # what the answers give; of our own only

    @property
    def ground_truth(self) -> tuple[tuple[ToolCall, ...], ...]:
        """The answers as calls, arguments by name: ((ToolCall("cd", {"folder": "temp"}),), ...)."""
        tools = {tool.name: tool for tool in self.offered(len(self.turns))}
        return tuple(tuple(_call(text, tools, self.id) for text in turn) for turn in self.answers)

    @property
    def names(self) -> frozenset[str]:
        """What can be called. As in BFCL, that is all functions of the systems, also those that are still held out:

        an answer relies on it (`multi_turn_miss_func_49` calls `tail` two turns before it is offered).
        """
        return frozenset(tool.name for tool in self.offered(len(self.turns)))

    def offered(self, turn: int) -> tuple[Tool, ...]:
        """The tools that are shown by a turn, counted from 0."""
        return (*self.tools, *(tool for at, new in sorted(self.later.items()) if at <= turn for tool in new))


def load(category: str, folder: str | Path | None = None) -> list[Scenario]:
    """The scenarios of a category in the order of the file, e.g. `load("multi_turn_base")`: 200 of them."""
    if category not in CATEGORIES:
        raise BfclError(f"no category {category!r} of several turns; there are {', '.join(CATEGORIES)}")
    base, name = data_folder(folder), f"{VERSION}_{category}.json"
    answers = {row["id"]: row["ground_truth"] for row in rows(base / "possible_answer" / name, "id", "ground_truth")}
    found = []
    for row in rows(base / name, "id", "question", "initial_config", "involved_classes"):
        if row["id"] not in answers:
            raise BfclError(f"{row['id']}: no line in possible_answer has this id; the two files don't belong together")
        found.append(_scenario(row | {"ground_truth": answers[row["id"]]}, category, base))
    return found


def practice(folder: str | Path | None = None) -> list[Scenario]:
    """Our own scenarios, in the same shape and with the same systems: to train on, and to show as examples."""
    raw = json.loads(PRACTICE.read_text("utf-8"))
    return [_scenario(row, row["id"].rpartition("_")[0], data_folder(folder)) for row in raw]


def _scenario(row: Mapping[str, Any], category: str, base: Path) -> Scenario:
    turns, answers = row["question"], row["ground_truth"]
    missed = {int(turn): names for turn, names in row.get("missed_function", {}).items()}
    for number, messages in enumerate(turns):
        roles = [message["role"] for message in messages]
        if roles != ([] if number in missed else ["user"]):
            raise BfclError(f"{row['id']}, turn {number}: messages of {roles}, expected one of the user's")
    if len(answers) != len(turns):
        raise BfclError(f"{row['id']}: answers for {len(answers)} turns, expected {len(turns)}")
    known = {tool.name: tool for name in row["involved_classes"] for tool in _tools(name, base)}
    if lost := [name for names in missed.values() for name in names if name not in known]:
        raise BfclError(f"{row['id']}: the held-out function {lost[0]!r} has no document")
    later = {turn: tuple(known[name] for name in names) for turn, names in missed.items()}
    held_out = {name for names in missed.values() for name in names}
    return Scenario(
        row["id"],
        category,
        tuple(messages[0]["content"] if messages else "" for messages in turns),
        tuple(tool for name, tool in known.items() if name not in held_out),
        later,
        tuple(row["involved_classes"]),
        row["initial_config"],
        tuple(map(tuple, answers)),
        tuple(map(tuple, row.get("results", ()))),
    )


@cache
def _tools(name: str, base: Path) -> tuple[Tool, ...]:
    """The functions of a class; what they give back is said in the description, as BFCL does for most models."""
    if name not in DOCUMENTS:
        raise BfclError(f"no class {name!r}; there are {', '.join(DOCUMENTS)}")
    path = base / "multi_turn_func_doc" / f"{DOCUMENTS[name]}.json"
    found = []
    for document in rows(path, "name", "description", "parameters"):
        gives = f" The response field has the following schema: {json.dumps(document['response'])}"
        said = document["description"] + (gives if "response" in document else "")
        found.append(tool_of(document | {"description": said}, path.name))
    return tuple(found)


def _call(text: str, tools: Mapping[str, Tool], where: str) -> ToolCall:
    """A call as Python source with literals; what stands without a name gets those of the document, in its order."""
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise ValueError("no call of a function by its name")
        names = list(tools[tree.func.id].parameters.get("properties", {}))
        positional = dict(zip(names, map(ast.literal_eval, tree.args), strict=False))
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in tree.keywords}
    except (SyntaxError, ValueError, KeyError) as error:
        raise BfclError(f"{where}: {text!r} is no call of a known function with literals ({error})") from error
    return ToolCall(tree.func.id, positional | named)
