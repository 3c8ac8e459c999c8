"""Answer trees of ToolBench: the accepted path, the failed ones, and the siblings left aside."""

import dataclasses
import json

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.agents.toolbench import convert, rejected_siblings
from xlam_lib.trajectory import Trajectory

RAW = samples_dir("toolbench") / "raw"
TREE = RAW / "answer/G2_answer/127_ChatGPT_DFS_woFilter_w2.json"  # gives up, with hints of the search
PARTY = RAW / "toolllama_answers/raw_answer/G1_demo/82217_ChatGPT_DFS_woFilter_w2.json"  # says, then finishes


@pytest.fixture
def record() -> dict:
    return json.loads(TREE.read_text(encoding="utf-8"))


def one(record: dict, where: str = "/data/G2_answer/127.json:1") -> Trajectory:
    (trajectory,) = convert(record, where)
    assert trajectory.validate("warning") == []
    return trajectory


def path(record: dict) -> list[dict]:
    return record["answer_generation"]["train_messages"][-1]


def test_the_accepted_path(record: dict) -> None:
    t = one(record)
    assert (t.trajectory_id, t.source.raw_id) == ("toolbench/G2_answer/127", "G2_answer/127")
    assert [step.role for step in t.steps] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert [c.id for s in t.steps for c in s.tool_calls] == ["call_0", "call_1", "call_2"]
    assert t.steps[0].content == record["answer_generation"]["query"]
    assert t.task.instruction.startswith("You are AutoGPT")
    assert [tool.name for tool in t.tools][-1] == "Finish"


def test_every_word_of_the_path_is_kept(record: dict) -> None:
    t = one(record)
    messages = path(record)
    calls = [m["function_call"] for m in messages if m.get("function_call")]
    assert [(c.name, c.arguments) for s in t.steps for c in s.tool_calls] == [
        (call["name"], json.loads(call["arguments"])) for call in calls
    ]
    results = [m["content"] for m in messages if m["role"] == "function"]
    assert [s.content for s in t.steps if s.role == "tool"] == results
    thoughts = [m["content"] for m in messages if m["role"] == "assistant" and m["content"]]
    assert [s.reasoning for s in t.steps if s.reasoning] == thoughts
    assert all(s.reasoning_origin == "native" for s in t.steps if s.reasoning)


def test_hints_of_the_search_are_not_the_users_words(record: dict) -> None:
    t = one(record)
    assert sum(step.role == "user" for step in t.steps) == 1
    (hint,) = t.extra["search_hints"]
    assert hint["before_step"] == 3
    assert hint["content"].startswith("This is not the first time you try this task")


def test_giving_up_is_failure_and_an_answer_is_unknown(record: dict) -> None:
    outcome = one(record).outcome
    assert (outcome.success, outcome.termination) == (False, "failure")
    assert outcome.checks == {"win": False, "finish": "give_up_and_restart"}
    party = one(json.loads(PARTY.read_text(encoding="utf-8")))
    assert (party.outcome.success, party.outcome.termination) == (None, "success")


def test_words_before_finish_are_its_thought() -> None:
    t = one(json.loads(PARTY.read_text(encoding="utf-8")))
    last = t.steps[-1]
    assert last.reasoning.startswith("For your surprise party, here are some meaningful quotes")
    assert last.tool_calls[0].name == "Finish"
    assert t.extra["final_answer"] == last.tool_calls[0].arguments["final_answer"]


def test_errors_are_marked(record: dict) -> None:
    result = next(m for m in path(record) if m["role"] == "function")
    for content, is_error in {
        '{"error": "", "response": "ok"}': False,
        '{"error": "Timeout", "response": ""}': True,
        '{"error": "", "response": "cut of': False,
        '{"error": "No such func': True,
        "plain text": False,
        "[1]": False,
    }.items():
        result["content"] = content
        assert one(record).steps[2].is_error is is_error, content


def test_a_failed_search_keeps_its_last_branch(record: dict) -> None:
    record["answer_generation"]["train_messages"] = []
    t = one(record)
    assert t.tags == ("multi_step", "failed_search")
    assert (t.outcome.success, t.outcome.termination) == (False, "failure")
    assert [c.name for s in t.steps for c in s.tool_calls] == ["get_track_info_for_pridnestrovie_post", "Finish"]
    assert t.steps[2].is_error


def test_single_chains(record: dict) -> None:
    record["answer_generation"]["train_messages"] = []
    del record["tree"]
    record["trys"] = [
        {
            "chain": [
                {"node_type": "Thought", "description": "Let me see."},
                {"node_type": "Action", "description": "api_tracking_for_pack_send"},
                {"node_type": "Action Input", "description": '{"reference": "YZA890"}', "observation": "nothing"},
                {"node_type": "Thought", "description": "And now?"},
            ]
        }
    ]
    t = one(record)
    assert (t.steps[1].reasoning, t.steps[2].content) == ("Let me see.", "nothing")


def test_siblings(record: dict) -> None:
    first, second = rejected_siblings(record, str(TREE))
    assert (first.step_index, second.step_index) == (1, 3)
    t = one(record)
    for sibling in (first, second):
        assert sibling.chosen == t.steps[sibling.step_index]
        assert sibling.rejected.tool_calls[0].name == "get_track_info_for_pridnestrovie_post"
        assert sibling.rejected.tool_calls[0] != sibling.chosen.tool_calls[0]
        assert '"error"' in sibling.observation
        other = dataclasses.replace(t, steps=(*t.steps[: sibling.step_index], sibling.rejected))
        assert other.validate("error") == []
    assert first.rejected.reasoning.startswith("Based on the previous action and its failure")
    record["answer_generation"]["train_messages"] = []
    assert rejected_siblings(record, str(TREE)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda call: call.update(name="invalid_hallucination_function_name"), "call of an undeclared tool"),
        (lambda call: call.update(arguments='{"reference": '), "arguments are not JSON"),
        (lambda call: call.update(arguments='["YZA890"]'), "arguments are not an object"),
    ],
)
def test_broken_calls_are_dropped(record: dict, change, reason: str) -> None:
    messages = path(record)
    at = next(i for i, m in enumerate(messages) if m.get("function_call"))
    change(messages[at]["function_call"])
    messages[at + 1]["name"] = messages[at]["function_call"]["name"]
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_a_missing_result_and_a_stray_one_are_dropped(record: dict) -> None:
    messages = path(record)
    at = next(i for i, m in enumerate(messages) if m["role"] == "function")
    result = messages.pop(at)
    with pytest.raises(Drop, match="call without a result"):
        convert(record, "x.json:1")
    messages[at:at] = [result, result]
    with pytest.raises(Drop, match="result without a call"):
        convert(record, "x.json:1")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"api_list": [], "query": "x"}, "a query without an answer: no trajectory to convert"),
        ({"id": "STEP 0", "conversations": []}, "a row of the first release, not a tree: no trajectory to convert"),
        ({"win": True}, "no 'answer_generation'"),
    ],
)
def test_other_files_of_the_project_are_recognised(other: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(other, "x.json:1")
    assert drop.value.reason == reason
