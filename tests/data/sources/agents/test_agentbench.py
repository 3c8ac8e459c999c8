"""AgentBench: gold SQL, gold actions, gold scripts, gold episodes."""

import json
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.agentbench import NAMED_ONLY, NO_ANSWER, OTHER_LANGUAGE, convert, native, unpack
from xlam_lib.trajectory import Trajectory

RAW = samples_dir("agentbench") / "raw"
SCENE = "You are in the middle of a room.\nYour task is to: put a pen in shelf.\n"
TASK = {"description": "Which?", "add_description": "The name of this table is T.", "type": ["other"]}
KG = {"qid": "1", "question": "who?", "entities": {"Moss": "m.01"}, "actions": ["get_relations(m.01)"], "answer": []}
OS = {"description": "Count them.", "evaluation": {"example": "ls | wc -l"}}


def one(record: dict) -> Trajectory:
    (t,) = convert(record, "/data/tasks.json:1")
    assert t.validate("error") == []
    return t


def calls(t: Trajectory) -> list[tuple[str, dict]]:
    return [(call.name, call.arguments) for step in t.steps for call in step.tool_calls]


def test_sql() -> None:
    t = one({**TASK, "label": ["a"], "sql": {"query": "SELECT a FROM T;"}})
    assert calls(t) == [("execute_sql", {"query": "SELECT a FROM T;"})]
    assert t.steps[0].content == "Which?\nThe name of this table is T."
    assert (t.extra["answer"], t.tags, native(t)) == (["a"], ("gold", "db"), ["SELECT a FROM T;"])


def test_the_label_of_a_change_is_its_sql() -> None:
    t = one({**TASK, "type": ["UPDATE"], "label": ["UPDATE T SET a = 1"], "answer_md5": "x"})
    assert calls(t) == [("execute_sql", {"query": "UPDATE T SET a = 1"})]
    assert "answer" not in t.extra


def test_an_answer_alone_is_not_learnt_from() -> None:
    t = one({**TASK, "label": ["a"]})
    assert (calls(t), t.steps[1].trainable, t.tags[-1]) == ([("answer", {"answers": ["a"]})], False, "answer_only")
    t = one({**OS, "evaluation": {"match": "7"}})
    assert (calls(t), t.steps[1].trainable, native(t)) == ([("answer", {"answer": "7"})], False, [])


@pytest.mark.parametrize("actions", [["get_relations(m.01)", "count(#0)"], ["intersection(#1, #2)"]])
def test_gold_actions_come_back(actions: list[str]) -> None:
    t = one({**KG, "actions": actions})
    assert native(t) == actions
    assert t.steps[0].content == "who?\nEntities: Moss (m.01)"


@pytest.mark.parametrize(
    ("evaluation", "call"),
    [
        ({"example": {"type": "command", "data": "ls"}}, ("execute_bash", {"command": "ls"})),
        ({"example": {"type": "command", "data": ""}, "answer": "3"}, ("answer", {"answer": "3"})),
        ({"type": "question", "answer": {"type": "text", "data": "3"}}, ("answer", {"answer": "3"})),
        ({"example": {"language": "bash", "code": "ls"}, "check": []}, ("execute_bash", {"command": "ls"})),
    ],
)
def test_older_and_newer_forms_of_a_solution(evaluation: dict, call: tuple) -> None:
    t = one({**OS, "evaluation": evaluation, "init": {"type": "command", "data": "touch a"}})
    assert calls(t) == [call]
    assert (t.extra["evaluation"], t.extra["init"]["data"]) == (evaluation, "touch a")


def test_scripts() -> None:
    assert calls(one(OS)) == [("execute_bash", {"command": "ls | wc -l"})]
    assert native(one({**OS, "evaluation": {"example": {"code": "ls"}}})) == ["ls"]


def test_an_episode() -> None:
    turns = [
        SCENE,
        "go to desk 1\n",
        "A pen 2.\n",
        "fly\n",
        "Nothing happens.\n",
        "look\n",
        "A desk.\n",
        "Task succeeded.\n",
    ]
    (record,) = unpack({"act_put_0": turns})
    t = one(record)
    assert calls(t) == [("go_to", {"receptacle": "desk 1"}), ("look", {})]
    assert native(t) == ["go to desk 1\n", "fly\n", "look\n"]
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [True, False, True]
    assert (t.outcome.success, t.extra["end"]) == (True, "Task succeeded.\n")
    thought = "THOUGHT: A desk.\nACTION: go to desk 1"
    (record,) = unpack({"react_0": [{"role": "user", "content": SCENE}, {"role": "agent", "content": thought}]})
    t = one(record)
    assert (t.steps[1].reasoning, native(t), t.outcome.success) == ("A desk.", [thought], None)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"role": "user", "content": "x"}, "one message of a prompt, not a conversation: no trajectory to convert"),
        ({"pick": ["a/b.tw-pddl"]}, "a list of games: no trajectory to convert"),
        ({**TASK, "label": []}, NO_ANSWER),
        ({**OS, "evaluation": {"example": {"file": "example/0.sh"}}}, NAMED_ONLY),
        ({**OS, "evaluation": {"example": {"language": "python", "code": "print(1)"}}}, OTHER_LANGUAGE),
        ({**OS, "evaluation": {"type": "checking", "example": None, "answer": None}}, NO_ANSWER),
        ({**KG, "actions": []}, NO_ANSWER),
        ({**KG, "actions": ["look"]}, "gold action of an unknown form"),
        ({**OS, "description": ""}, "empty query"),
        ({"alfworld_episode": "x", "turns": [SCENE, 3]}, "message content is not text"),
        ({"other": 1}, "a record of an unknown kind"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    folder = real_data / "agentbench"
    accounting = Accounting("agentbench")
    trajectories = list(load_source("agentbench", folder, accounting))
    assert accounting.dropped == {
        "a list of games: no trajectory to convert": 1,
        "one message of a prompt, not a conversation: no trajectory to convert": 7,
        NAMED_ONLY: 2,
    }
    expected = 0
    by_id = {t.source.raw_id: t for t in trajectories}
    for path in sorted(folder.glob("*.json*")):
        text = path.read_text(encoding="utf-8")
        values = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
        expected += len(values) if "new_std" not in path.name else 1
        if path.name.startswith("kg"):
            assert all(native(by_id[f"kg/{v['qid']}"]) == v["actions"] for v in values)
        if "multiturn" in path.name:
            assert all(
                native(by_id[f"alfworld/{k}"]) == [x for x in v[1::2] if "succeeded" not in x]
                for k, v in values.items()
            )
        if path.name.startswith("dbbench"):
            gold = sorted(v["sql"]["query"] if "sql" in v else v["label"][0] for v in values)
            assert gold == sorted(native(t)[0] for t in trajectories if t.source.raw_id.startswith(f"db/{path.stem}/"))
    assert accounting.records_in == expected
    for t in trajectories:
        for index, prompt, completion in prompts_of(t):
            assert t.steps[0].content.strip() in prompt
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
