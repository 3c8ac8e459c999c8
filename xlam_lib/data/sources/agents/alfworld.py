"""ALFWorld: gold episodes of household tasks as text, and ALFRED's plans for the same tasks (notebook 01).

Raw records (a text file; a JSON file, shortened):

    Assistant:
    <execute>
    goto("shelf 1")
    goto("shelf 2")
    </execute>

    Observation:
    On the shelf 1, you see a mug 2.
    On the shelf 2, you see a alarmclock 1, a pen 2, and a pencil 1.

    {"task_id": "trial_T20190908_222917_366542", "task_type": "look_at_obj_in_light", "pddl_params": {...},
     "turk_annotations": {"anns": [{"task_desc": "Hold the clock and turn on the lamp.", "high_descs": [...]}, ...]},
     "plan": {"high_pddl": [{"discrete_action": {"action": "GotoLocation", "args": ["desk"]}, ...}, ...],
              "low_actions": [...]}, "images": [...], "scene": {...}}

Decisions, from looking at the records:
- A text has neither room nor task; the task is named by its folder or file ("pick_cool_then_place_in_recep-Pan-None-
  CounterTop-10") and put in ALFWorld's words: "put a cool pan in countertop." (`extra["task_from"]`). A text that is
  written like the game ("Your task is to: ...", "> go to shelf 1") is read, too.
- The lines of one block are calls of one turn. Each call gave one line; where the numbers differ, the last call gets
  what can't be told apart, and the turn is named in `extra["joined_observations"]`.
- A plan becomes one turn with all its steps, without results, for each way in which people worded the task. What they
  wrote to each step is `extra["descriptions"]`, the names of the low-level moves are `extra["low_actions"]`; images
  and poses of objects are left out.
- All are tagged "gold". That a task was solved isn't recorded, so the outcome stays unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.data.formats.base import SourceInfo, content_id, need, need_objects, place
from xlam_lib.data.formats.environments import ALFWORLD, ALFWORLD_ERRORS, THINK_COLON, household_task, task_name
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions
from xlam_lib.data.formats.transcripts import prompted_turns
from xlam_lib.trajectory import Step, Task, Tool, ToolCall, Trajectory

SOURCE = SourceInfo(
    name="alfworld",
    license="Apache-2.0 AND MIT",
    url="https://github.com/alfworld/alfworld",
    files=("**/gt_traj.txt", "**/traj_data.json"),
    text_files=("*.txt",),
    samples={
        "gt_traj/look_at_obj_in_light-Pencil-None-DeskLamp-308__trial_T20190908_220604_010430.txt": None,
        "gt_traj/pick_and_place_simple-PepperShaker-None-Drawer-10__trial_T20190918_154326_823501.txt": None,
        "gt_traj/pick_cool_then_place_in_recep-Pan-None-CounterTop-10__trial_T20190908_114545_244903.txt": None,
    },
    version="2",
    fields=(
        "text",
        "task_id",
        "task_type",
        "pddl_params",
        "turk_annotations.anns",
        "plan.high_pddl",
        "plan.low_actions",
    ),
    left_out={
        "images": "file names of pictures that aren't in the record",
        "scene": "where the simulator puts its objects",
        "dataset_params": "settings of the video",
        "plan.high_pddl[].planner_action": "the step once more, with places in the simulator",
        "plan.low_actions[].api_action": "the move once more, as the simulator is given it",
        "turk_annotations.anns[].assignment_id": "which person worded the task, by a number of the market place",
    },
    layout={
        r"^(Assistant|Observation):": "labels of the turns",
        r"</?execute>": "tags of the code",
    },
)
PLACE, OBJECT = ("receptacle",), ("object",)
CODE = {  # function -> (tool, arguments)
    "goto": ("go_to", PLACE),
    "take": ("take", OBJECT + PLACE),
    "put": ("put", OBJECT + PLACE),
    "open": ("open", PLACE),
    "close": ("close", PLACE),
    "use": ("use", OBJECT),
    "heat": ("heat", OBJECT + PLACE),
    "cool": ("cool", OBJECT + PLACE),
    "clean": ("clean", OBJECT + PLACE),
    "slice": ("slice", OBJECT + PLACE),
    "examine": ("examine", ("target",)),
    "look": ("look", ()),
    "inventory": ("inventory", ()),
}


def _code(function: str, tool: str, slots: tuple[str, ...]) -> Action:
    quoted = ", ".join('"{' + slot + '}"' for slot in slots)
    return Action(f"{function}({quoted})", tool, narrow=dict.fromkeys(slots, r'[^"]*'))


ALFWORLD_CODE = Grammar(tuple(_code(function, *spec) for function, spec in CODE.items()))
PLAN = {  # what ALFRED's planner can do -> (arguments, description)
    "GotoLocation": (("location",), "Walk to an object or a receptacle."),
    "PickupObject": (OBJECT, "Pick up an object."),
    "PutObject": (OBJECT + PLACE, "Put the object you hold into or onto a receptacle."),
    "CleanObject": (OBJECT, "Clean an object at the sink."),
    "HeatObject": (OBJECT, "Heat an object in the microwave."),
    "CoolObject": (OBJECT, "Cool an object in the fridge."),
    "SliceObject": (OBJECT, "Slice an object with the knife you hold."),
    "ToggleObject": (OBJECT, "Switch a device on or off."),
    "NoOp": ((), "Do nothing more: the plan ends."),
}
TURN = re.compile(  # where a turn has no code, none behind it has: it takes all the rest
    r"^Assistant:(?:(?>\s*+(.*?)<execute>\n)(?>(.*?)\n?</execute>)(.*?)(?=^Assistant:|\Z)|.*)", re.MULTILINE | re.DOTALL
)
NAMED = re.compile(r"((?:look_at|pick)_\w++)(?:-([A-Za-z]+)-([A-Za-z]+)-([A-Za-z]+)-\d+)?")
TRIAL = re.compile(r"trial_T\d+(?:_\d+)*")
WORDS = {
    "pick_and_place_simple": "put a {object} in {place}.",
    "look_at_obj_in_light": "examine the {object} with the {place}.",
    "pick_clean_then_place_in_recep": "put a clean {object} in {place}.",
    "pick_heat_then_place_in_recep": "put a hot {object} in {place}.",
    "pick_cool_then_place_in_recep": "put a cool {object} in {place}.",
    "pick_two_obj_and_place": "put two {object} in {place}.",
    "pick_and_place_with_movable_recep": "put a {object} in a {container} and put them in {place}.",
}


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """A text file is one record: {"text": "Assistant: ..."}."""
    if text.strip():
        yield 1, {"text": text.replace("\r\n", "\n")}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """A text -> one trajectory; a plan -> one for each wording of its task."""
    return _plans(record) if "plan" in record else [_episode(need(record, "text", str), where)]


def native(t: Trajectory) -> list[str]:
    """The actions as the file has them: ['goto("shelf 1")'], or '{"action": "GotoLocation", "args": ["desk"]}'."""
    if "plan" in t.tags:
        calls = [call for step in t.steps for call in step.tool_calls]
        return [json.dumps({"action": call.name, "args": list(call.arguments.values())}) for call in calls]
    if "code" in t.tags:
        return native_actions(t, ALFWORLD_CODE)
    return native_actions(t, ALFWORLD, THINK_COLON)


def _episode(text: str, where: str) -> Trajectory:
    blocks = [block for block in TURN.finditer(text) if block[2] is not None]
    task, source = _task(text if not blocks else text[: blocks[0].start()], where)
    joined: list[int] = []
    episode = (
        Episode(ALFWORLD_CODE, None, ALFWORLD_ERRORS) if blocks else Episode(ALFWORLD, THINK_COLON, ALFWORLD_ERRORS)
    )
    episode.user(task)
    tight: list[int] = []
    if blocks:
        for number, block in enumerate(blocks):
            pairs, clear = _paired(block[2], block[3])
            joined += [] if clear else [number]
            episode.turn(pairs, block[1].strip())
    else:
        _, turns, tight = prompted_turns(text)
        for turn in turns:
            episode.act(turn.action, turn.observation)
    steps = episode.finish()
    if len(steps) == 1:
        raise Drop("a text without an action", text[:80])
    trial = TRIAL.search(where)
    raw_id = f"gold/{trial[0]}" if trial else place(where)
    extra = {"task_from": source, NOTES: episode.notes, "joined_observations": joined, "unspaced_prompts": tight}
    task_id = f"alfworld/{trial[0]}" if trial else task_name("alfworld", household_task(task))
    tags = ("gold", "multi_step", "alfworld", *(["code"] if blocks else []))
    return _trajectory(raw_id, task_id, ALFWORLD.tools(), steps, tags, extra)


def _trajectory(
    raw_id: str, task_id: str, tools: tuple[Tool, ...], steps: tuple[Step, ...], tags: tuple[str, ...], extra: dict
) -> Trajectory:
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(task_id=task_id),
        tools=tools,
        steps=steps,
        tags=tags,
        extra={key: value for key, value in extra.items() if value},
    )


def _task(head: str, where: str) -> tuple[str, str]:
    """(the user's message, where it is from): the text itself, or the name of the file or folder."""
    message = prompted_turns(head)[0].strip()
    if "Your task is to:" in message:
        return message, "text"
    named = next((found for found in NAMED.finditer(where) if found[2]), None)
    words = _words(named[1], named[2], named[3], named[4]) if named else ""
    if not words:
        raise Drop("a text without a task, and its file names none", place(where))
    return "\n".join(part for part in (message, f"Your task is to: {words}") if part), "name"


def _words(kind: str, what: str, container: str, where: str) -> str:
    """A task in ALFWorld's words, or "": ("pick_two_obj_and_place", "Mug", "", "Desk") -> "put two mug in desk."."""
    return WORDS.get(kind, "").format(object=what.lower(), container=container.lower(), place=where.lower())


def _paired(code: str, below: str) -> tuple[list[tuple[str, str | None]], bool]:
    """(each line of code with what came of it, whether that is clear)."""
    actions = [line for line in code.split("\n") if line.strip()]
    _, mark, observed = below.partition("Observation:")
    if not mark:
        return [(action, None) for action in actions], True
    lines = [line for line in observed.strip().split("\n") if line.strip()]
    if len(actions) == 1 or len(lines) == len(actions):
        return list(zip(actions, lines if len(actions) > 1 else [observed.strip()], strict=True)), True
    first = lines[: len(actions) - 1]
    padded = [*first, *[""] * (len(actions) - 1 - len(first)), "\n".join(lines[len(first) :])]
    return list(zip(actions, padded, strict=True)), False


def _plans(record: dict[str, Any]) -> list[Trajectory]:
    plan = need(record, "plan", dict)
    calls = [_planned(item, number) for number, item in enumerate(need_objects(plan.get("high_pddl"), "high_pddl"))]
    if not calls:
        raise Drop("a plan without a step")
    trial = record["task_id"] if isinstance(record.get("task_id"), str) and record["task_id"] else content_id(record)
    low = plan.get("low_actions") if isinstance(plan.get("low_actions"), list) else []
    moves = [_name(item.get("discrete_action")) for item in low if isinstance(item, dict)]
    tools = tuple(_plan_tool(name, *spec) for name, spec in PLAN.items())
    made = []
    for number, (words, descriptions) in enumerate(_wordings(record)):
        steps = (Step("user", words), Step("assistant", tool_calls=tuple(calls)))
        extra = {"descriptions": descriptions, "low_actions": [move for move in moves if move]}
        extra |= {key: record.get(key) for key in ("task_type", "pddl_params")}
        tags = ("gold", "plan", "alfworld")
        made.append(_trajectory(f"plan/{trial}/{number}", f"alfworld/{trial}", tools, steps, tags, extra))
    return made


def _wordings(record: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """(task, description of each step) by each person who worded it; else the task in ALFWorld's words."""
    turk = record.get("turk_annotations")
    raw = turk.get("anns") if isinstance(turk, dict) else []
    found = []
    for item in raw if isinstance(raw, list) else []:
        if isinstance(item, dict) and isinstance(item.get("task_desc"), str) and item["task_desc"].strip():
            steps = item.get("high_descs") if isinstance(item.get("high_descs"), list) else []
            found.append((item["task_desc"].strip(), [step for step in steps if isinstance(step, str)]))
    pddl = record.get("pddl_params")
    if not found and isinstance(pddl, dict):
        where = pddl.get("parent_target") or pddl.get("toggle_target")
        parts = [record.get("task_type"), pddl.get("object_target"), pddl.get("mrecep_target") or "", where]
        words = _words(*parts) if all(isinstance(part, str) for part in parts) else ""
        found = [(f"Your task is to: {words}", [])] if words else []
    if not found:
        raise Drop("a plan without a task")
    return found


def _planned(item: dict[str, Any], number: int) -> ToolCall:
    action = need(item, "discrete_action", dict)
    name, args = need(action, "action", str), need(action, "args", list)
    if name not in PLAN or len(args) != len(PLAN[name][0]) or not all(isinstance(arg, str) for arg in args):
        raise Drop("a step that ALFRED's planner doesn't know", f"{number}: {json.dumps(action)[:120]}")
    return ToolCall(name, dict(zip(PLAN[name][0], args, strict=True)), f"call_{number}")


def _name(action: Any) -> str:
    return str(action.get("action") or "") if isinstance(action, dict) else ""


def _plan_tool(name: str, slots: tuple[str, ...], description: str) -> Tool:
    properties = {slot: {"type": "string"} for slot in slots}
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(slots)})
