"""AgentLite's chains, as records and as text."""

import pytest
from source_checks import calls, load, reason, turns_that_come_back

from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.agents.agentlite import convert, native, parse_action, render_action, split


def act(name: str, observation: str = "OK", **params: object) -> list:
    return [{"name": name, "params": params}, observation]


def chain(*links: object, **changes: object) -> dict:
    return {"task": {"instruction": "Do it.", "task_id": "t1"}, "action_chain": list(links), **changes}


def test_samples() -> None:
    trajectories, accounting = load("agentlite")
    assert accounting.records_converted == accounting.records_in == 4
    assert turns_that_come_back(trajectories) == 9
    first, second = trajectories[:2]
    assert [step.role for step in first.steps] == ["user", "assistant", "tool", "assistant", "tool"]
    assert (first.steps[1].reasoning, first.outcome.reward) == ("I should ask for berths of 9 metres.", 1.0)
    assert [tool.name for tool in first.tools] == ["FindBerth", "Think", "Finish"]
    assert [name for name, _ in calls(second)] == ["Plan", "FindBerth", "Finish"]
    assert native(second)[2] == "FindBerth 30"
    assert second.extra["inferred_tools"] == ["FindBerth"]


def test_texts_come_back_exactly() -> None:
    text = (samples_dir("agentlite") / "raw" / "examples.txt").read_text(encoding="utf-8")
    actions = [line.removeprefix("Action:") for line in text.split("\n") if line.startswith("Action:")]
    records = list(split(text))
    assert [line for line, _ in records] == [1, 15]
    assert [action for _, record in records for t in convert(record, "x") for action in native(t)] == actions
    (t,) = convert(records[0][1], "x")
    assert t.steps[0].content == "i would like a rope of 20 metres, lower than 30 dollars"
    assert t.steps[2].content.endswith("$25.00}")


def test_thoughts() -> None:
    thought = act("Think", response="Hm.")
    links = [thought, act("Go"), thought, thought, act("Go"), thought]
    (t,) = convert(chain(*links), "x")
    assert [(step.reasoning, calls_of) for step in t.steps if (calls_of := [c.name for c in step.tool_calls])] == [
        ("Hm.", ["Go"]),
        ("", ["Think"]),
        ("", ["Think"]),
        ("", ["Go"]),
        ("", ["Think"]),
    ]
    assert native(t) == [render_action(link[0]["name"], link[0]["params"]) for link in links]
    bare = [["Think[{'response': 'Hm.'}]", "OK"], act("Go")]
    assert native(convert(chain(*bare), "x")[0]) == ["Think[{'response': 'Hm.'}]", "Go[{}]"]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('Go[{"to": "B1"}]', ("Go", {"to": "B1"})),
        ("Action:Go[{'to': 'B1'}]", ("Go", {"to": "B1"})),
        ("Go[B1]", None),
        ("Go", None),
    ],
)
def test_actions(text: str, action: tuple | None) -> None:
    assert parse_action(text) == action


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (chain(), "a task without an action: no trajectory to convert"),
        (chain([]), "a link that isn't an action and its observation"),
        (chain([{"name": "", "params": {}}, "x"]), "a link that isn't an action and its observation"),
        ({"task": 3, "action_chain": []}, "'task' is not an object"),
        ({"task": "x"}, "no 'action_chain'"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("agentlite", record) == why


def test_an_action_that_was_not_answered_and_what_a_task_says_besides_are_kept() -> None:
    text = 'Task:Where?\nAction:Ask[{"q": "a"}]\nObservation: b\nAction:Finish[{"response": "c"}]\n'
    ((line, record),) = split(text)
    (t,) = convert(record, "x.txt:1")
    assert (line, t.steps[-2].tool_calls[0].arguments) == (1, {"response": "c"})
    (t,) = convert(chain(act("Finish", response="c"), task={"instruction": "Where?", "creator": "Ann"}), "x.json:1")
    assert t.extra["creator"] == "Ann"
