"""WebShop's own files: goals with the searches that people made for them; tables and pages (notebook 01).

Raw records (a name and its value, of files that are one object or a list; shortened):

    {"i need butt lifting yoga pants that also has a high waist. pick a blue one":
     ["high waist butt lifting yoga pants in blue"]}                                     goal_query_map.json
    ["find me a motion detection high definition outdoor camera with 1080p hd definition"]     human_goals.json
    {"B07QXZL1K5": {"attributes": ["eco friendly"], "instruction": "Find me eco friendly ..."}}     items_ins_v2.json
    {"type_reward": [{"goal": {...}, "purchased": {...}, "expect": {"r_type": 1.0}}]}   cases of the reward's own tests
    <!DOCTYPE html> ...                                                                  pages of the shop

Decisions, from looking at the records:
- A goal with the searches of people is a trajectory for each search: the goal, and a call of `search`. It ends there,
  since the map has no results; tagged "gold".
- A goal alone, the attributes of a product, a case of the reward function and a page are told apart and dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, content_id, need
from xlam_lib.data.formats.environments import WEBSHOP, task_name
from xlam_lib.data.formats.episodes import native_actions
from xlam_lib.trajectory import Step, Task, ToolCall, Trajectory

SOURCE = SourceInfo(
    name="webshop",
    license="MIT",
    url="https://github.com/princeton-nlp/WebShop",
    files=("goal_query_map.json", "human_goals.json", "items_*.json"),
    text_files=("human_goals*", "mock_*", "*.html"),
    samples={
        "goal_query_map.json": (
            "can you find me a shelf stable potato side dish?  i want something that i can cook in the microwave",
            "i need butt lifting yoga pants that also has a high waist. pick a blue one",
            "i am looking for a solid wood chaise lounge for my living room",
        )
    },
    fields=("kind", "goal", "searches"),
    left_out={"kind": "what `unpack` calls the kind of the record"},
)
NOT_CONVERTED = {
    "goal": "a goal without an action: no trajectory to convert",
    "product": "attributes of a product: no trajectory to convert",
    "case": "a test case of the reward function: no trajectory to convert",
    "page": "a page of the shop: no trajectory to convert",
    "text": "a text that is neither goals nor a page: no trajectory to convert",
    "list": "a list that is not of goals: no trajectory to convert",
}


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """A list of goals, or a page: {"kind": "goal", "goal": "find me ..."}."""
    try:
        goals = json.loads(text)
    except (ValueError, RecursionError):
        goals = None
    if not isinstance(goals, list):
        if text.strip():
            yield 1, {"kind": "page" if "<" in text else "text", "html": text}
        return
    line, at = 1, 0
    for goal in goals:
        as_text = goal if isinstance(goal, str) else json.dumps(goal)
        found = max(text.find(json.dumps(goal), at), text.find(json.dumps(goal, ensure_ascii=False), at), at)
        line, at = line + text.count("\n", at, found), found
        yield line, {"kind": "goal" if isinstance(goal, str) else "list", "goal": as_text}


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of a map or table as records: {"kind": "searches", "goal": "i need ...", "searches": ["..."]}."""
    records = []
    for key, inner in value.items():
        if isinstance(inner, list) and all(isinstance(search, str) for search in inner):
            records.append({"kind": "searches", "goal": key, "searches": inner})
        elif isinstance(inner, list):
            records += [{"kind": "case", "of": key, "case": case} for case in inner]
        elif isinstance(inner, dict) and "attributes" in inner:
            records.append({"kind": "product", "asin": key, "product": inner})
        else:
            return [{"kind": "product", "product": value} if "asin" in value else value]
    return records or [value]


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """A goal with searches -> a trajectory for each; anything else is a Drop that says what it is."""
    kind = need(record, "kind", str)
    if kind in NOT_CONVERTED:
        raise Drop(NOT_CONVERTED[kind])
    if kind != "searches":
        raise Drop("a record of an unknown kind", kind[:80])
    goal, searches = need(record, "goal", str).strip(), need(record, "searches", list)
    if not goal or not searches or not all(isinstance(search, str) and search.strip() for search in searches):
        raise Drop("a goal or a search without words", str(record)[:120])
    raw_id = content_id({"goal": goal})
    return [_searched(goal, search, f"{raw_id}/{number}") for number, search in enumerate(searches)]


def native(t: Trajectory) -> list[str]:
    """The search as the shop takes it: ["search[high waist yoga pants]"]."""
    return native_actions(t, WEBSHOP)


def _searched(goal: str, search: str, raw_id: str) -> Trajectory:
    call = ToolCall("search", {"keywords": search}, "call_0")
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(task_id=task_name("webshop", goal)),
        tools=WEBSHOP.tools(),
        steps=(Step("user", goal), Step("assistant", tool_calls=(call,))),
        tags=("gold", "single", "webshop", "human"),
    )
