"""AgentInstruct: six environments, every turn back letter by letter, worked examples apart."""

import json
import re
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.agentinstruct_grammars import ENVIRONMENTS
from xlam_lib.data.sources.exchange.agentinstruct_adp import NO_ANSWER, convert, native
from xlam_lib.trajectory import Trajectory

RAW = samples_dir("agentinstruct_adp") / "raw" / "agenttuning_mixed" / "sample_raw.json"
SAMPLES = {record["id"].rpartition("_")[0]: record for record in json.loads(RAW.read_text(encoding="utf-8"))}


def one(record: dict) -> Trajectory:
    (t,) = convert(record, "sample_raw.json:1")
    assert t.validate("error") == []
    return t


def calls(t: Trajectory) -> list[tuple[str, dict]]:
    return [(call.name, call.arguments) for step in t.steps for call in step.tool_calls]


def replies(record: dict) -> list[str]:
    """What the agent says, in either shape."""
    return [m.get("content", m.get("value")) for m in record["conversations"] if m.get("role", m.get("from")) in AGENT]


AGENT = ("assistant", "gpt")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("os", [("execute_bash", {"command": "chmod +x /tmp/run\nls -l /tmp/run"}), ("finish", {})]),
        (
            "db",
            [
                ("execute_sql", {"query": "SELECT Name FROM Lighthouses WHERE Height > 50;"}),
                ("answer", {"answers": ["Slette", "Utsira"]}),
            ],
        ),
        (
            "kg",
            [
                ("get_relations", {"variable": "Glomma"}),
                ("get_neighbors", {"variable": "Glomma", "relation": "geography.river.mouth"}),
                ("final_answer", {"variable": "#0"}),
            ],
        ),
        ("mind2web", [("type_text", {"choice": "C", "value": "Horten"})]),
        ("webshop", [("search", {"keywords": "blue kettle"}), ("click", {"element": "B000KETTLE"})]),
        (
            "alfworld",
            [
                ("go_to", {"receptacle": "desk 1"}),
                ("take", {"object": "pen 2", "receptacle": "desk 1"}),
                ("put", {"object": "pen 2", "receptacle": "shelf 1"}),
            ],
        ),
    ],
)
def test_known_actions(name: str, expected: list) -> None:
    t = one(SAMPLES[name])
    assert calls(t) == expected
    acknowledged = [t.extra["acknowledged"]] if "acknowledged" in t.extra else []
    assert [*acknowledged, *native(t)] == replies(SAMPLES[name])


def test_the_worked_example_is_no_part_of_the_task() -> None:
    t = one(SAMPLES["os"])
    assert t.steps[0].content == "Make the file /tmp/run executable."
    assert [m["content"][:6] for m in t.extra["example"]] == ["tell m", "Think:", "The ou", "Think:"]
    assert t.extra["layouts"] == {"call_0": "Think: {thought} \n\nAct: bash\n\n```bash\n{command}\n```"}
    assert t.steps[1].reasoning == "chmod does this."


def test_instructions_lose_what_they_state_on_formats() -> None:
    for name, record in SAMPLES.items():
        instruction = one(record).task.instruction
        assert bool(instruction) == (name != "mind2web")
        assert not re.search(r"Think:|Thought:|Act:|Action:|Final Answer|ACTION:|```|click\[", instruction), name


def test_an_action_of_another_world_stays_a_text() -> None:
    t = one(SAMPLES["alfworld"])
    bad = t.steps[5]
    assert (bad.content, bad.trainable, bad.tool_calls) == ("ACTION: put pen 2 on the shelf", False, ())
    assert (t.steps[6].role, t.steps[6].content) == ("user", "Nothing happened")


def test_loss_makes_turns_untrainable() -> None:
    record = json.loads(json.dumps(SAMPLES["db"]))
    record["conversations"][3]["loss"] = False
    assert [step.trainable for step in one(record).steps if step.role == "assistant"] == [False, True]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("os", "Think: a\n\nAct: bash\n```sh\nls\n\n```\n\nAnd then {x}."),
        ("os", "Act: answer(a (b))"),
        ("os", "I see. Act: finish\n"),
        ("db", "Action: Operation\n```sql\nSELECT 1```"),
        ("db", 'So.\n\nAction: Answer\nFinal Answer: ["a",1]'),
        ("db", "So.\nAction: Answer\nFinal Answer: five"),
        ("kg", "Thought: x\nAction: get_neighbors(Moss, Norway,a.b.c)\nObservation: {made up}"),
        ("kg", "Action: argmax( #0 , x.y )"),
        ("mind2web", "Answer: A."),
        ("mind2web", "Thought: t\nAnswer: B\nAction: SELECT\nValue: a\nb"),
        ("webshop", "Action: click[< Prev]"),
        ("alfworld", "THOUGHT: a {b}\n\nACTION: take a 1 from b 2 "),
    ],
)
def test_unusual_layouts_come_back(name: str, text: str) -> None:
    dialect = ENVIRONMENTS[name].dialect
    turn = dialect.parse(text)
    assert turn is not None and turn.name in {tool.name for tool in dialect.tools()}
    assert dialect.render(turn) == text


def test_answers_are_lists_only_where_they_come_back() -> None:
    parse = ENVIRONMENTS["db"].dialect.parse
    assert parse("Action: Answer\nFinal Answer: [5.6]").arguments == {"answers": [5.6]}
    assert parse('Action: Answer\nFinal Answer: ["a",1]').arguments == {"answers": '["a",1]'}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"id": "os_1"}, "no 'conversations'"),
        ({"id": "os_1", "conversations": []}, "conversation that doesn't begin with the user"),
        ({"id": "os_1", "conversations": ["x"]}, "'conversations' is not a list of objects"),
        ({"id": "os_1", "conversations": [{"role": "critic", "content": ""}]}, "message of an unknown role"),
        ({"id": "os_1", "conversations": [{"role": "user", "content": None}]}, "message content is not text"),
        ({"id": "os_1", "conversations": [{"role": "user", "content": "Hi"}]}, NO_ANSWER),
        ({"id": "os_1", "conversations": [{"role": "user", "content": ""}]}, "empty user message"),
        ({"id": "chess_1", "conversations": [{"role": "user", "content": "e4"}]}, "unknown environment"),
        (
            {"id": "os_1", "conversations": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]},
            "empty assistant turn",
        ),
        (
            {
                "id": "os_1",
                "conversations": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Act: finish"},
                    {"role": "assistant", "content": "Act: finish"},
                ],
            },
            "call without a result",
        ),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    folder = real_data / "agentinstruct_adp"
    accounting = Accounting("agentinstruct_adp")
    trajectories = {t.source.raw_id: t for t in load_source("agentinstruct_adp", folder, accounting)}
    records = [r for path in sorted(folder.rglob("*raw*.json")) for r in json.loads(path.read_text(encoding="utf-8"))]
    assert (accounting.records_in, accounting.dropped) == (len(records), {})
    untrainable = 0
    for record in records:
        t = trajectories[record["id"]]
        acknowledged = [t.extra["acknowledged"]] if "acknowledged" in t.extra else []
        assert [*acknowledged, *native(t)] == replies(record)
        assert t.validate("error") == []
        untrainable += sum(not step.trainable for step in t.steps)
        for index, prompt, completion in prompts_of(t):
            assert t.steps[0].content.strip() in prompt
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
    assert untrainable <= 15
