"""ETO, CodeActInstruct, Synatra: raw and standard."""

import json
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.exchange.adp_other import SCIENCEWORLD, convert, native
from xlam_lib.trajectory import Trajectory

RAW = samples_dir("adp_other") / "raw"


def sample(path: str, number: int = 0) -> dict:
    return json.loads((RAW / path).read_text(encoding="utf-8"))[number]


def one(record: dict) -> Trajectory:
    (t,) = convert(record, "x.json:1")
    assert t.validate("error") == []
    return t


def calls(t: Trajectory) -> list[tuple[str, dict]]:
    return [(call.name, call.arguments) for step in t.steps for call in step.tool_calls]


def replies(record: dict) -> list[str]:
    """What the agent says, in all four shapes, but for "OK"."""
    if "response" in record:
        return [record["response"]]
    events = record.get("conversations") or record["content"]
    kinds = [m.get("role") or m.get("from") or m["class_"] for m in events]
    texts = [m.get("value") or m.get("content") for m in events]
    agent = ("assistant", "gpt", "message_action")
    return [text for kind, text in zip(kinds, texts, strict=True) if kind in agent and text != "OK"]


def test_eto() -> None:
    t = one(sample("eto/sample_raw.json"))
    shop = [
        ("search", {"keywords": "blue kettle"}),
        ("click", {"element": "b000kettle"}),
        ("click", {"element": "buy now"}),
    ]
    assert calls(t) == shop
    assert (t.outcome.reward, t.outcome.success, t.outcome.termination) == (1.0, True, "success")
    assert "layouts" not in t.extra
    standard = one(sample("eto/sample_std.json"))
    assert (calls(standard), standard.steps[1:-1]) == (shop, t.steps[1:-1])
    assert (standard.trajectory_id, standard.outcome.success) == ("adp_other/standard/webshop_901", None)
    assert native(standard)[-1] == "<finish> Thought: I buy it.\nAction: click[buy now] </finish>"


def test_scienceworld() -> None:
    t = one(sample("eto/sample_raw.json", 1))
    assert calls(t) == [("look_around", {}), ("focus_on", {"object": "pea plant"})]
    assert (t.outcome.reward, t.outcome.success) == (0.5, False)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("pour cup into sink", "pour", {"object": "cup", "receptacle": "sink"}),
        ("look in cup", "look_in", {"object": "cup"}),
        ("deactivate stove", "deactivate", {"object": "stove"}),
        ("use lighter on wood", "use_on", {"object": "lighter", "target": "wood"}),
        ("wait1", "wait_one", {}),
        ("0", "choose", {"choice": 0}),
    ],
)
def test_words_of_scienceworld(text: str, name: str, arguments: dict) -> None:
    assert SCIENCEWORLD.parse(text) == (name, arguments)
    assert SCIENCEWORLD.render(name, arguments) == text


def test_codeact() -> None:
    t = one(sample("codeactinstruct/sample_raw.json"))
    assert calls(t) == [
        ("execute_python", {"code": "sum(n * n for n in range(1, 101))"}),
        ("propose_solution", {"solution": "338350"}),
    ]
    assert "<solution>" not in t.task.instruction and "You have 5 chances" in t.task.instruction


def test_synatra() -> None:
    record = sample("synatra/sample_raw.json")
    t = one(record)
    assert calls(t) == [("click", {"element_id": "21"})]
    assert t.steps[1].reasoning.startswith("# step 2:") and t.steps[1].content.startswith("# step summary:")
    assert t.extra["inferred_tools"] == ["click", "type"]
    assert t.task.instruction.startswith("You are given") and t.steps[0].content.startswith("# website")
    assert record["prompt"] == f'"""{t.task.instruction}"""\n{t.steps[0].content}'


@pytest.mark.parametrize(
    "response",
    [
        "click(element_id='21')",
        '# a {b}\n\n  click(element_id="21") \n\n',
        '# a\nscroll(direction="down", n=3)\n# b\n',
        "# nothing to do",
        "click(thing)",
    ],
)
def test_responses_come_back(response: str) -> None:
    t = one({"prompt": "Page", "response": response})
    assert native(t) == [response]
    assert t.steps[1].trainable == ("=" in response)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"prompt": "Page", "response": " "}, "a query without an answer: no trajectory to convert"),
        ({"prompt": 1, "response": "x"}, "'prompt' is not text"),
        ({"id": "x"}, "no 'conversations'"),
        ({"id": "x", "conversations": [{"from": "human", "value": "e4"}]}, "unknown environment"),
        (
            {"id": "x", "conversations": [{"from": "human", "value": "<execute>"}]},
            "a query without an answer: no trajectory to convert",
        ),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    folder = real_data / "adp_other"
    accounting = Accounting("adp_other")
    trajectories = list(load_source("adp_other", folder, accounting))
    records = [r for path in folder.rglob("*.json") for r in json.loads(path.read_text(encoding="utf-8"))]
    assert (accounting.records_in, accounting.dropped, len(trajectories)) == (len(records), {}, len(records))
    assert sorted(map(native, trajectories)) == sorted(map(replies, records))
    assert all(step.trainable for t in trajectories for step in t.steps)
    for t in trajectories:
        for index, prompt, completion in prompts_of(t):
            assert t.steps[0].content.strip() in prompt
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
