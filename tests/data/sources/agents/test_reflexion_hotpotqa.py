"""Attempts of Reflexion at questions: searches, verdicts, reflections."""

import re
from collections import Counter
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.reflexion_hotpotqa import convert, native, split
from xlam_lib.trajectory import Trajectory

AGAIN = "You have attempted to answer following question before and failed."
STEP = "Thought 1: I search.\nAction 1: Search[Rome]\nObservation 1: Rome is a city.\nIt is old.\n"
TEXT = (
    f"Question: Which city? \n{STEP}Thought 2: It is Rome.\nAction 2: Finish[Rome]\nObservation 2: Answer is CORRECT\n"
)
GOLD = "Correct answer: Rome\n"


def one(text: str) -> Trajectory:
    (t,) = convert({"text": text}, "/data/react_base.txt:12")
    t.validate()
    return t


def test_one_question():
    t = one(TEXT + GOLD)
    assert t.trajectory_id == "reflexion_hotpotqa/react_base:12"
    assert [step.role[0] for step in t.steps] == list("uatat")
    assert t.steps[0].content == "Which city?" and t.steps[2].content == "Rome is a city.\nIt is old."
    assert t.extra == {"gold_answer": "Rome"}
    assert (t.outcome.success, t.outcome.termination) == (True, "success")
    assert native(t) == ["Search[Rome]", "Finish[Rome]"]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (TEXT.replace("is CORRECT", "is INCORRECT"), (False, 0.0, "failure")),
        (f"Question: Q\n{STEP}", (None, None, "unknown")),
        ("Question: Q\n" + "".join(STEP.replace(" 1:", f" {n}:") for n in range(1, 7)), (None, None, "max_steps")),
    ],
)
def test_other_ends(text, outcome):
    found = one(text + GOLD).outcome
    assert (found.success, found.reward, found.termination) == outcome


def test_reflections_are_in_the_message_and_the_task_stays_the_same():
    message = f"Which city?{AGAIN} The following ...\nReflections:\n- I should search.\n"
    t = one(f"Question: {message}{STEP}")
    assert t.steps[0].content == message.strip() and "reflexion" in t.tags
    assert t.task.task_id == one(TEXT).task.task_id


def test_a_question_halted_before_the_first_step_is_a_gold_answer():
    t = one("Question: Which city?\nCorrect answer: Rome")
    assert t.steps[1].tool_calls[0].arguments == {"answer": "Rome"}
    assert ({"gold", "closed_book"} <= set(t.tags), native(t), t.outcome.termination) == (True, [], "unknown")


def test_headings_belong_to_no_record():
    heading = (
        "#######\nBEGIN TRIAL 2\nTrial summary: Correct: 1\n#######\n\n------------- BEGIN CORRECT AGENTS -------\n\n"
    )
    records = list(split(heading + TEXT + GOLD + "\n" + heading + TEXT + GOLD + "------ END CORRECT AGENTS ------\n"))
    assert [line for line, _ in records] == [8, 25]
    assert records[0][1] == records[1][1] == {"text": (TEXT + GOLD).rstrip()}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "Question: Q"}, "a question without a step or an answer: no trajectory to convert"),
        ({"text": f"Question: \n{STEP}"}, "empty question"),
        ({"text": "Claim: Rome is a city.\n" + STEP}, "a text without a question"),
        ({"text": 3}, "'text' is not text"),
    ],
)
def test_drops(record, reason):
    with pytest.raises(Drop) as drop:
        convert(record, "/data/x.txt:1")
    assert drop.value.reason == reason


CONTEXT = """------------- BEGIN CORRECT AGENTS -------------

Context: {0} was born
in Turin.
Question: Where was {0} born?
Thought: The context says Turin.
Action: Finish[Turin]
Observation: Answer is CORRECT
Reflections: {1}
Correct answer: Turin

"""


def test_each_context_is_with_its_own_question_and_the_answer_with_none():
    text = CONTEXT.format("Ada", "") + CONTEXT.format("Bo", "- I was quick.").partition("\n\n")[2]
    records = list(split(text))
    assert [line for line, _ in records] == [3, 12]
    for (_, record), name in zip(records, ("Ada", "Bo"), strict=True):
        t = one(record["text"])
        assert t.steps[0].content == f"Context: {name} was born\nin Turin.\nQuestion: Where was {name} born?"
        assert [step.content for step in t.steps[1:]] == ["", "Answer is CORRECT"]
        assert t.steps[1].reasoning == "The context says Turin."
        assert t.extra.get("reflections", "") == {"Ada": "", "Bo": "- I was quick."}[name]
        assert (t.extra["gold_answer"], t.outcome.success) == ("Turin", True)
        assert t.task.task_id == one(f"Question: Where was {name} born?\n{STEP}").task.task_id


@pytest.mark.parametrize("lead", ["Context: Ada lives in Turin. ", "Relevant Context: Ada lives in Turin. \n", ""])
def test_what_stands_above_a_question_belongs_to_it(lead):
    above = "Solve a question answering task by having a Thought, then Finish with your answer.\n"
    text = f"{TEXT}{GOLD}\n{above}{lead}Question: Where is Ada?\n{STEP}{GOLD}"
    first, second = (one(record["text"]) for _, record in split(text))
    assert first.steps[0].content == "Which city?"
    assert second.steps[0].content.split() == f"{above}{lead}Question: Where is Ada?".split()


def test_a_trial_that_a_prompt_quotes_is_no_trajectory():
    header = "You have attempted to answer the following question before and failed. Below is the last trial you "
    quoted = f"{header}attempted to answer the question.\n{TEXT.replace('is CORRECT', 'is INCORRECT')}"
    plan = "(END PREVIOUS TRIAL)\n\nThe following reflection(s) give a plan.\nReflections:\n- I should look.\n\n"
    records = list(split(f"{TEXT}{GOLD}\n{quoted}{plan}{TEXT}{GOLD}\n{quoted}{plan}{TEXT}{GOLD}"))
    assert len(records) == 3
    for _, record in records[1:]:
        t = one(record["text"])
        assert t.steps[0].content == (quoted + plan).strip() + "\nQuestion: Which city?"
        assert [step.role[0] for step in t.steps] == list("uatat") and "reflexion" in t.tags
        assert t.task.task_id == one(TEXT).task.task_id


def test_text_that_is_no_record_is_a_loss_that_says_so(tmp_path):
    (tmp_path / "claims.txt").write_text("Claim: Rome is a city.\n" + STEP)
    (tmp_path / "log.txt").write_text(f"{TEXT}{GOLD}\nA note below.")
    books = Accounting("reflexion_hotpotqa")
    assert len(list(load_source("reflexion_hotpotqa", tmp_path, books))) == 1
    assert books.dropped == {"a text in which no record begins": 1, "a text without a question": 1}


def test_real_questions(real_data: Path):
    path = real_data / "reflexion_hotpotqa"
    accounting = Accounting("reflexion_hotpotqa")
    trajectories = list(load_source("reflexion_hotpotqa", path, accounting))
    blocks = [
        block
        for file in sorted(path.glob("*.txt"))
        for block in re.split(r"^Question: ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    ]
    assert accounting.dropped == {} and accounting.records_in == len(blocks) == len(trajectories)
    verdicts = Counter()
    for t, block in zip(trajectories, blocks, strict=True):
        assert native(t) == re.findall(r"^Action \d+: (.*)$", block, re.MULTILINE)
        thoughts = re.findall(r"^Thought \d+: (.*)$", block, re.MULTILINE)
        assert [step.reasoning for step in t.steps if step.reasoning] == [thought.strip() for thought in thoughts]
        verdicts[t.outcome.success] += 1
        assert (t.outcome.success is True) == ("Answer is CORRECT" in block)
        assert (t.outcome.success is False) == ("Answer is INCORRECT" in block)
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
    assert all(verdicts[verdict] for verdict in (True, False, None))
