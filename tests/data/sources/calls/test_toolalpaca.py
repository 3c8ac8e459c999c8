"""ToolAlpaca's instances, golden answers and judged solutions."""

import re
from pathlib import Path

import pytest
from source_checks import calls, elements, load, reason, turns_that_come_back

from xlam_lib.data.sources.calls.toolalpaca import convert, native, unpack
from xlam_lib.data.sources.catalogs.toolalpaca_tools import described, tools_of

API = {
    "Name": "Boats",
    "Function_Description": {
        "find": 'Find boats.\nParameters: {"n": "Required. integer. How many.", "kind": "string. One of: [sail, row]. '
        'What."}\nOutput: Boats.\n - Format: application/json',
        "components": "#Boat: Object{id}",
    },
}


def gold(*actions: tuple[str, str]) -> dict:
    return {
        "api": API,
        "number": 3,
        "instruction": "Find!",
        "golden": [{"Action": a, "Action_Input": i} for a, i in actions],
    }


def instance(**changes: object) -> dict:
    step = [
        ["find", '{"n": 2}', " I look.\nASSISTANT Action: find\nASSISTANT Action Input: {..."],
        "Status Code: 404. x",
    ]
    base = {"input": "Find!\nHint: 2", "output": "None.", "Final Thought": "Nothing.", "intermediate_steps": [step]}
    return {"api": API, "number": 0, "instance": {**base, **changes}}


def test_tools_from_prose() -> None:
    find, details = tools_of(API["Function_Description"])
    assert find.description == "Find boats.\n\nOutput: Boats.\n - Format: application/json"
    assert find.parameters == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "description": "How many."},
            "kind": {"type": "string", "enum": ["sail", "row"], "description": "What."},
        },
        "required": ["n"],
    }
    assert details.name == "getDetails"
    text = "f: Does.\nParameters: {}\nOutput: x\n - Structure: y\ng-h: Else.\nParameters: {}\nOutput: z\n"
    assert [tool.name for tool in described(text, retrieval=True)] == [
        "f",
        "g-h",
        "getDetails",
        "retrievalDataFromFile",
    ]


def test_an_instance() -> None:
    (t,) = convert(instance(), "x.json:1")
    assert (t.steps[0].content, t.steps[1].reasoning, t.steps[3].reasoning) == ("Find!", "I look.", "Nothing.")
    assert (t.steps[2].content, t.steps[2].is_error) == ("Status Code: 404. x", True)
    assert native(t) == ['Action: find\nAction Input: {"n": 2}']
    assert t.extra["components"] == "#Boat: Object{id}"


def test_actions_that_are_no_calls() -> None:
    steps = [[["find", "{n: 2", "x"], "Invalid JSON"], [["sail", "{}", "y"], "`sail` is not a valid action."]]
    (t,) = convert(instance(intermediate_steps=steps), "x.json:1")
    assert [step.role for step in t.steps] == ["user", "assistant", "user", "assistant", "user", "assistant"]
    assert native(t) == ["Action: find\nAction Input: {n: 2", "Action: sail\nAction Input: {}"]
    assert not t.steps[1].trainable and t.steps[5].trainable


def test_golden_answers_stop_where_a_result_is_needed() -> None:
    needs = ("show", '{"id": ${id from find}}')
    (t,) = convert(gold(("find", '{"n": 1}'), ("find", '{"n":2}'), needs, ("find", "{}")), "x.json:1")
    assert calls(t) == [("find", {"n": 1}), ("find", {"n": 2})]
    assert native(t) == [
        'Action: find\nAction Input: {"n": 1}',
        'Action: find\nAction Input: {"n":2}',
        'Action: show\nAction Input: {"id": ${id from find}}',
        "Action: find\nAction Input: {}",
    ]
    (t,) = convert(gold(("getDetails", '{"Question": "How many?"}'), ("find", '{"n": 1}')), "x.json:1")
    assert [name for name, _ in calls(t)] == ["getDetails"]
    (t,) = convert(gold(("list", "{}")), "x.json:1")
    assert t.extra["inferred_tools"] == ["list"]


def test_objects_are_taken_apart() -> None:
    both = {**API, "Instructions": ["a", "b"], "Golden_Answers": [[]]}
    assert [(r["instruction"], r["golden"]) for r in unpack(both)] == [("a", []), ("b", None)]
    all_of_it = unpack({**both, "Instances": [{}, {}]})
    assert [(r["number"], "instance" in r) for r in all_of_it] == [(0, True), (1, True), (0, False), (1, False)]
    assert [r["instruction"] for r in unpack({**both, "Golden_Answers": [[], [], []]})] == ["a", "b", None]
    assert len(unpack({**API, "Instructions": ["a"], "Instances": [{}]})) == 1
    judged = {"statistics": {}, "Boats": [{"id": 4, "input": []}]}
    assert unpack(judged) == [{"api": {"Name": "Boats"}, "case": {"id": 4, "input": []}}, {"statistics": {}}]
    assert unpack({"x": [1], "y": 2}) == [{"x": [1], "y": 2}]


def test_a_judged_solution() -> None:
    t = next(t for t in load("toolalpaca")[0] if t.tags == ("judged",))
    assert (t.outcome.success, t.outcome.checks["process_correctness"]) == (False, "Yes")
    assert [name for name, _ in calls(t)] == ["searchUser", "generateAvatar", "generateAvatar"]
    assert native(t)[0] == 'Function: searchUser\nParameters: {"query": "JohnEve233"}'
    assert [step.is_error for step in t.steps if step.role == "tool"] == [False, True, False]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (gold(), "an instruction without an answer"),
        (gold(("find", "${x}")), "no call of the golden answer can be read"),
        ({"api": API, "instruction": "x", "golden": None}, "'Golden_Answers' is not a list of objects"),
        ({"api": API, "instance": {"error": "timeout"}}, "infrastructure error, no steps"),
        (instance(intermediate_steps=[["find"]]), "a step that isn't an action and its result"),
        (instance(intermediate_steps=[[[1, "{}"], "x"]]), "an action that isn't text"),
        ({"api": {"Name": "x"}, "case": {"id": 1}}, "a judged case without its prompt"),
        ({"api": {"Name": "x"}, "case": {"input": "words"}}, "prompt without a block"),
        ({"count": 1, "entries": []}, "a list of APIs: no trajectory to convert"),
        ({"statistics": {}, "labels": []}, "a table of scores: no trajectory to convert"),
        ({**API, "Instructions": ["x"]}, "an API without answers to its instructions: no trajectory to convert"),
        (API, "an API without instructions: no trajectory to convert"),
        (
            {"api": {"Name": "x", "Function_Description": {"f": "F.\nParameters: {a}\n"}}, "golden": []},
            "a tool that can't be read",
        ),
        ({"api": {"Name": "x", "Function_Description": {"f": 1}}, "golden": []}, "tool description is not text"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("toolalpaca", record) == why


def test_every_real_record(real_data: Path) -> None:
    folder = real_data / "toolalpaca"
    trajectories, accounting = load("toolalpaca", folder)
    apis = elements(folder / "eval_real.json") + elements(folder / "eval_simulated.json")
    (outputs,) = elements(folder / "eval_outputs_ToolAlpaca7b.json")
    cases = [case for name, items in outputs.items() if name != "statistics" for case in items]
    golden = [answer for api in apis for answer in api["Golden_Answers"]]
    assert accounting.records_in == len(golden) + len(cases) + 3
    assert accounting.dropped == {
        "a table of scores: no trajectory to convert": 2,
        "a list of APIs: no trajectory to convert": 1,
        "no call of the golden answer can be read": 1,
    }
    assert accounting.records_converted >= 0.98 * (len(golden) + len(cases))
    assert turns_that_come_back(trajectories) > 200
    by_id = {t.source.raw_id: t for t in trajectories}
    for api in apis:
        for number, answer in enumerate(api["Golden_Answers"]):
            t = by_id.get(f"{api['Name']}/gold-{number}")
            assert t is None or sorted(native(t)) == sorted(
                f"Action: {a['Action']}\nAction Input: {a['Action_Input']}" for a in answer
            )
    for name, items in outputs.items():
        for case in items if name != "statistics" else []:
            solution = case["input"][0]["content"].split("## AI Assistant's Solution")[1]
            found = re.findall(r"^\d+\. (Function: \w+\nParameters: .*)$", solution, re.MULTILINE)
            assert native(by_id[f"{name}/judged-{case['id']}"]) == found
