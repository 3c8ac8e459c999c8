"""Household tasks: gold episodes as code or as the game's text, and ALFRED's plans."""

import json
import re
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.alfworld import CODE, WORDS, convert, native, split
from xlam_lib.trajectory import Trajectory

WHERE = "/data/pick_cool_then_place_in_recep-Pan-None-CounterTop-10/trial_T20190908_114545_244903/gt_traj.txt:1"
TEXT = """Assistant:
I look around.
<execute>
goto("shelf 1")
take("pan 1", "shelf 1")
</execute>

Observation:
On the shelf 1, you see a pan 1.
You pick up the pan 1 from the shelf 1.
Assistant:
<execute>
cool("pan 1", "fridge 1")
</execute>

Observation:
You cool the pan 1 using the fridge 1.
"""
PLAN = {
    "task_id": "trial_T1_2_3",
    "task_type": "pick_two_obj_and_place",
    "pddl_params": {"object_target": "Mug", "parent_target": "Desk", "mrecep_target": "", "toggle_target": ""},
    "plan": {
        "high_pddl": [
            {"discrete_action": {"action": "GotoLocation", "args": ["desk"]}, "high_idx": 0},
            {"discrete_action": {"action": "PutObject", "args": ["mug", "desk"]}, "high_idx": 1},
            {"discrete_action": {"action": "NoOp", "args": []}, "high_idx": 2},
        ],
        "low_actions": [{"discrete_action": {"action": "MoveAhead_25", "args": {}}}, 3],
    },
    "turk_annotations": {"anns": [{"task_desc": "Put mugs away. ", "high_descs": ["Go."]}, {"task_desc": "Two mugs."}]},
}


def one(record: dict, where: str = WHERE) -> Trajectory:
    t = convert(record, where)[0]
    t.validate()
    return t


def test_code_becomes_calls():
    t = one({"text": TEXT})
    assert t.trajectory_id == "alfworld/gold/trial_T20190908_114545_244903"
    assert (t.steps[0].content, t.extra) == ("Your task is to: put a cool pan in countertop.", {"task_from": "name"})
    assert [step.role[0] for step in t.steps] == list("uattat")
    assert [call.name for call in t.steps[1].tool_calls] == ["go_to", "take"]
    assert (t.steps[1].reasoning, t.steps[3].content) == ("I look around.", "You pick up the pan 1 from the shelf 1.")
    assert native(t) == ['goto("shelf 1")', 'take("pan 1", "shelf 1")', 'cool("pan 1", "fridge 1")']


def test_what_is_no_action_and_results_that_cannot_be_distinguished():
    t = one({"text": TEXT.replace("cool(", "freeze(").replace("you see a pan 1.\n", "you see\na pan 1.\n")})
    assert (t.steps[4].content, t.steps[4].trainable) == ('freeze("pan 1", "fridge 1")', False)
    assert t.extra["joined_observations"] == [0]
    assert t.steps[3].content == "a pan 1.\nYou pick up the pan 1 from the shelf 1."
    short = one({"text": TEXT.replace("You pick up the pan 1 from the shelf 1.\n", "")})
    assert [step.content for step in short.steps[2:4]] == ["On the shelf 1, you see a pan 1.", ""]
    assert one({"text": TEXT.partition("Observation:")[0]}).steps[-1].role == "assistant"


def test_the_game_as_text():
    room = "You are in a room.\nYour task is to: put some mug in desk."
    game = f"{room}\n> think: Where?\nOK.\n> go to desk 1\nNothing happens."
    t = one({"text": game}, "/data/some.txt:1")
    assert t.steps[0].content == room and t.extra == {"task_from": "text"}
    assert native(t) == ["think: Where?", "go to desk 1"] and t.steps[2].is_error
    assert t.trajectory_id == "alfworld/data/some"


@pytest.mark.parametrize("kind", WORDS)
def test_every_kind_of_task_is_worded(kind: str):
    for rest in ("__trial_T1_2_3.txt:1", "/trial_T1_2_3/gt_traj.txt:1"):
        task = one({"text": TEXT}, f"/data/{kind}-Mug-Plate-Desk-10{rest}").steps[0].content
        assert "mug" in task and "desk" in task


@pytest.mark.parametrize("function", CODE)
def test_every_function_parses(function: str):
    quoted = ", ".join(f'"{slot} 1"' for slot in CODE[function][1])
    line = f"{function}({quoted})"
    t = one({"text": f"Assistant:\n<execute>\n{line}\n</execute>\n"})
    assert t.steps[1].tool_calls[0].name == CODE[function][0] and native(t) == [line]


def test_a_plan_is_one_turn_for_each_wording():
    one_, two = convert(PLAN, "/data/traj_data.json:1")
    one_.validate(), two.validate()
    assert (one_.steps[0].content, two.steps[0].content) == ("Put mugs away.", "Two mugs.")
    assert one_.steps[1] == two.steps[1] and one_.tags == ("gold", "plan", "alfworld")
    known = {key: PLAN[key] for key in ("task_type", "pddl_params")}
    assert one_.extra == {"descriptions": ["Go."], "low_actions": ["MoveAhead_25"], **known}
    actions = [item["discrete_action"] for item in PLAN["plan"]["high_pddl"]]
    assert [json.loads(text) for text in native(one_)] == actions
    assert one({**PLAN, "turk_annotations": {}}).steps[0].content == "Your task is to: put two mug in desk."


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "Assistant: hello"}, "a text without an action"),
        ({"text": 3}, "'text' is not text"),
        ({**PLAN, "plan": {"high_pddl": []}}, "a plan without a step"),
        ({**PLAN, "plan": {"high_pddl": "?"}}, "'high_pddl' is not a list of objects"),
        ({**PLAN, "turk_annotations": None, "pddl_params": None}, "a plan without a task"),
        (
            {**PLAN, "plan": {"high_pddl": [{"discrete_action": {"action": "Fly", "args": []}}]}},
            "a step that ALFRED's planner doesn't know",
        ),
    ],
)
def test_drops(record: dict, reason: str):
    with pytest.raises(Drop) as drop:
        convert(record, WHERE)
    assert drop.value.reason == reason


def test_a_text_whose_task_nothing_tells_is_dropped():
    with pytest.raises(Drop, match="a text without a task, and its file names none"):
        convert({"text": TEXT}, "/data/gt_traj.txt:1")
    assert list(split("  \n")) == []


def test_real_records(real_data: Path):
    path = real_data / "alfworld"
    accounting = Accounting("alfworld")
    trajectories = list(load_source("alfworld", path, accounting))
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    assert accounting.dropped == {} and accounting.records_in == len(files)
    texts = [file.read_text(encoding="utf-8") for file in files if file.suffix == ".txt"]
    plans = [t for t in trajectories if "plan" in t.tags]
    for t, text in zip((t for t in trajectories if "plan" not in t.tags), texts, strict=True):
        assert native(t) == re.findall(r"^[a-z_]+\(.*\)$", text, re.MULTILINE)
        observations = re.sub(r"Assistant:\n<execute>\n.*?</execute>\n\nObservation:\n", "", text, flags=re.DOTALL)
        assert [step.content for step in t.steps if step.role == "tool"] == observations.strip().split("\n")
        assert all(step.trainable for step in t.steps) and t.extra == {"task_from": "name"}
    for t in plans:
        raw = json.loads(next(path.rglob(f"*{t.task.task_id.rpartition('/')[2]}*.json")).read_text(encoding="utf-8"))
        assert [json.loads(text) for text in native(t)] == [i["discrete_action"] for i in raw["plan"]["high_pddl"]]
    for t in trajectories:
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
