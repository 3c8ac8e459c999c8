"""MINT: code and solutions in tags, feedback of an expert, ends of runs."""

import gzip
import json
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.formats import code_tags
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.mint_bench import convert, native
from xlam_lib.trajectory import Trajectory

WHERE = "/out/claude-2/F=None/max5_p2+tool+cd/reasoning/gsm8k/results.jsonl:1"
PROMPT = (
    "You are a helpful assistant.\n\nAt each turn, you should first provide your step-by-step thinking. "
    "For example: The answer is <solution> A </solution>.\n\nYou have 5 chances.\n\n\n\n---\n\nTask:\nAn example.\n\n"
    "Assistant:\n<solution> x </solution>\n\n---\n\nTask:\nWhat is 3 times 4?\n"
)
RUN = "Assistant:\n <thought> I run it. </thought>\n\n<execute>\n3 * 4\n</execute>\n"
SOLVE = "Assistant:\n\n<thought>\nIt is 12.\n</thought>\n\nThe answer is <solution> 12 </solution>."
SEEN = "Observation:\nOut[1]: 12\nYou have 4 steps left.\n"


def run(*texts: str, **state: object) -> dict:
    roles = ("user", "assistant")
    history = [{"role": roles[i % 2], "content": text} for i, text in enumerate((PROMPT, *texts))]
    last = {"content": "Observation:\nYour answer is correct.\n"}
    base = {"history": history, "success": True, "latest_output": last, "terminate_reason": "task_success"}
    return {"state": {**base, **state}, "task": {"task_name": "gsm8k", "task_id": 7, "reference": "12"}}


def one(record: dict) -> Trajectory:
    (t,) = convert(record, WHERE)
    assert t.validate("error") == []
    return t


def test_a_run() -> None:
    t = one(run(RUN, SEEN, SOLVE))
    assert [step.role for step in t.steps] == ["user", "assistant", "tool", "assistant", "tool"]
    assert t.steps[0].content == "What is 3 times 4?"
    assert t.task.instruction == "You are a helpful assistant.\n\nYou have 5 chances."
    assert t.task.task_id == "gsm8k/7"
    assert t.source.raw_id.startswith("claude-2/F=None/max5_p2+tool+cd/reasoning/gsm8k/7/")
    code, solution = t.steps[1], t.steps[3]
    assert (code.reasoning, code.tool_calls[0].arguments) == ("I run it.", {"code": "3 * 4"})
    assert (solution.reasoning, solution.content) == ("It is 12.", "The answer is")
    assert solution.tool_calls[0].arguments == {"solution": "12"}
    assert t.steps[4].content == "Observation:\nYour answer is correct.\n"
    assert (t.outcome.success, t.outcome.termination) == (True, "success")
    assert native(t) == [RUN, SOLVE]


@pytest.mark.parametrize(
    ("reason", "termination", "success"),
    [
        ("max_steps", "max_steps", False),
        ("max_propose_steps", "failure", False),
        ("error", "infra_error", None),
        ("cat on keyboard", "unknown", False),
    ],
)
def test_ends(reason: str, termination: str, success: bool | None) -> None:
    outcome = one(run(SOLVE, terminate_reason=reason, success=False)).outcome
    assert (outcome.termination, outcome.success, outcome.reward) == (termination, success, None)


def test_feedback_is_the_users() -> None:
    t = one(run(RUN, SEEN + "\n\nExpert feedback:\nThis is GOOD.", SOLVE))
    assert [step.role for step in t.steps[2:4]] == ["tool", "user"]
    assert (t.steps[2].content, t.steps[3].content) == (SEEN, "Expert feedback:\nThis is GOOD.")
    assert t.tags == ("feedback",)


def test_a_turn_without_action_is_untrainable() -> None:
    t = one(run("Assistant:\nThank you.\n", "Observation:\nI don't understand your input.\n", SOLVE))
    assert (t.steps[1].trainable, t.steps[2].role) == (False, "user")
    assert native(t)[0] == "Assistant:\nThank you.\n"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("<execute> print('{x}') </execute>", {"code": "print('{x}')"}),
        ("a\n<execute>\n1\n</execute>\nOutput: 7", {"code": "1"}),
        ("<thought>\nSo <solution> 8 </solution>.\n</thought>", {"solution": "8"}),
        ("b <execute>\n1\n</execute> then <solution>2</solution>", {"solution": "2"}),
        ("Assistant: c <execute>\nx = 1\n</execute>\n<execute>\nx\n</execute>", {"code": "x = 1\nx"}),
        ("<execute>x</execute><execute>y</execute>", {"code": "x\ny"}),
    ],
)
def test_tags(text: str, arguments: dict) -> None:
    turn = code_tags.MINT.parse(text)
    assert turn is not None and turn.arguments == arguments
    assert code_tags.MINT.render(turn) == text


@pytest.mark.parametrize("text", ["no tags", "<execute> </execute>", "<solution>\n</solution>", "<execute> cut"])
def test_no_action(text: str) -> None:
    assert code_tags.MINT.parse(text) is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"id": 1, "prompt": "Q", "reference": "A"}, "a benchmark question: no trajectory to convert"),
        ({"model": "m", "success": True}, "a score without messages: no trajectory to convert"),
        ({"m": {"max1_p1+tool+cd": {"sr": 0.1}}}, "a score without messages: no trajectory to convert"),
        (run(), "a query without an answer: no trajectory to convert"),
        (run(history=[]), "conversation that doesn't begin with the user"),
        (run(history=[{"role": "user", "content": "Q"}, {"role": "x", "content": ""}]), "message of an unknown role"),
        ({"state": {}}, "no 'task'"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, WHERE)
    assert drop.value.reason == reason


def test_real_runs(real_data: Path) -> None:
    folder = real_data / "mint_bench"
    lines = [
        line
        for path in sorted((folder / "raw").rglob("results.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    accounting = Accounting("mint_bench")
    trajectories = list(load_source("mint_bench", folder / "raw", accounting))
    assert (accounting.records_in, accounting.dropped, len(trajectories)) == (len(lines), {}, len(lines))
    texts = [[m["content"] for m in json.loads(r)["state"]["history"] if m["role"] == "assistant"] for r in lines]
    assert sorted(map(native, trajectories)) == sorted(texts)
    tagged = sum("<execute>" in text or "<solution>" in text for run in texts for text in run)
    assert sum(len(step.tool_calls) for t in trajectories for step in t.steps) == tagged
    for t in trajectories:
        for index, prompt, completion in prompts_of(t):
            assert t.steps[0].content.strip() in prompt
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)


def test_scores_and_questions_are_dropped(real_data: Path) -> None:
    folder = real_data / "mint_bench"
    accounting = Accounting("mint_bench")
    assert list(load_source("mint_bench", folder / "tasks", accounting)) == []
    assert set(accounting.dropped) == {"a benchmark question: no trajectory to convert"}
    with gzip.open(folder / "reduced_results.jsonl.gz", "rt", encoding="utf-8") as file, pytest.raises(Drop) as drop:
        convert(json.loads(next(file)), WHERE)
    assert drop.value.reason == "a score without messages: no trajectory to convert"
