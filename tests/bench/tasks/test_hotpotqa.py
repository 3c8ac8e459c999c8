"""HotpotQA as a benchmark: the expert solves all, chance nothing, failures have names, and recorded verdicts agree."""

import json
import random
from collections import Counter

import pytest

from xlam_lib.agents import Action, rollout, run
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.tasks import tasks
from xlam_lib.bench.tasks.hotpotqa import HotpotQATask, failure_of, keyword_of
from xlam_lib.data.formats.episodes import parse_loosely
from xlam_lib.data.sources import SOURCES
from xlam_lib.environments.hotpotqa import Article, Corpus, HotpotError, Question, answer_of, exact_match, f1_score
from xlam_lib.schema import Step, ToolCall


def episode(task, item, agent, seed=0):
    return run(rollout(agent, task.environment(item), item.task, task.max_steps, seed=seed))


def result_of(task, agent_of, seed=0):
    """All items played and scored."""
    rows = [{"id": item.id} | task.score(item, episode(task, item, agent_of(item), seed)) for item in task.items()]
    return task.result(rows, {})


@pytest.mark.parametrize(("split", "count"), [("train", 24), ("test", 36)])
def test_the_expert_solves_every_embedded_question(split, count):
    task = tasks()["hotpotqa"](split)
    result = result_of(task, task.expert)
    assert len(result.rows) == count
    assert all(
        (row["reward"], row["em"], row["accuracy"], row["success"]) == (1.0, True, True, True) for row in result.rows
    )
    assert result.failures() == {} and max(row["actions"] for row in result.rows) <= 5
    assert result.by_kind()["hard"] == {"n": count // 3, "reward": 1.0, "em": 1.0, "accuracy": 1.0}


def test_what_the_expert_reads_leads_to_the_answer():
    task = HotpotQATask("test")
    for item in task.items():
        trajectory = episode(task, item, task.expert(item))
        seen = " ".join(step.content for step in trajectory.steps if step.role == "tool")
        corpus = task.wiki.articles
        assert all(corpus[title].sentences[number] in seen for title, number in item.facts), item
        assert all(step.reasoning for step in trajectory.steps if step.role == "assistant")
        assert trajectory.validate() == []


class Chance:
    """Searches titles of the corpus, and answers with a word of what it saw."""

    name = "chance"

    def __init__(self, titles, seed):
        self.titles, self.rng = titles, random.Random(seed)

    def act(self, observation, history):
        if len(history) < 4:
            return Action.call("Search", entity=self.rng.choice(self.titles))
        words = " ".join(step.content for step in (*history, *observation.steps)).split()
        return Action.call("Finish", answer=self.rng.choice(words))


def test_chance_is_near_zero_and_the_same_seed_gives_the_same_bytes():
    task = HotpotQATask("test")
    agents = {item.id: f"7/{item.id}" for item in task.items()}

    def agent_of(item):
        return Chance(sorted(task.wiki.articles), agents[item.id])

    result = result_of(task, agent_of)
    assert result.mean("reward") < 0.08 and result.mean("em") <= 0.06
    again = result_of(task, agent_of)
    assert json.dumps(result.rows) == json.dumps(again.rows)
    item = task.items()[0]
    first, second = (episode(task, item, agent_of(item), seed=3) for _ in range(2))
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())


def steps_of(*actions):
    """An episode of (action, result) pairs; an action may be words."""
    steps = [Step("user", "?")]
    for number, (action, result) in enumerate(actions):
        if isinstance(action, str):
            steps += [Step("assistant", action), Step("user", result)]
        else:
            call = ToolCall(*action, f"call_{number}")
            steps += [Step("assistant", tool_calls=(call,)), Step("tool", result, tool_call_id=call.id, name=call.name)]
    return steps


OSLO, LOOK = ("Search", {"entity": "Oslo"}), ("Lookup", {"keyword": "x"})


@pytest.mark.parametrize(
    ("steps", "failure"),
    [
        (steps_of((OSLO, "a"), (("Finish", {"answer": "Rome"}), "INCORRECT")), "wrong_answer"),
        (steps_of((("Finish", {"answer": "I don't know."}), "INCORRECT")), "gave_up"),
        (steps_of((("Finish", {"answer": ""}), "INCORRECT")), "gave_up"),
        (steps_of((OSLO, "a"), ("Let me think.", "Invalid action.")), "bad_format"),
        ([Step("user", "?")], "bad_format"),
        (steps_of((OSLO, "a"), (("Open", {"entity": "Oslo"}), "Invalid")), "wrong_function"),
        (steps_of((OSLO, "a"), (("Search", {"title": "Oslo"}), "Invalid")), "wrong_argument"),
        (steps_of((OSLO, "a"), (OSLO, "a"), (OSLO, "a")), "loop"),
        (steps_of((LOOK, "1"), (LOOK, "2"), (LOOK, "3")), "max_steps"),  # goes on in the article
        (steps_of((LOOK, "No more"), (LOOK, "No more"), (LOOK, "No more")), "loop"),
        (steps_of((OSLO, "a"), (LOOK, "1"), (OSLO, "a")), "max_steps"),
        (steps_of((OSLO, "a")), "max_steps"),
    ],
)
def test_every_failure_has_its_name(steps, failure):
    assert failure_of(steps, answer_of(steps)) == failure


def test_scores_of_an_episode():
    task = HotpotQATask("test", levels=["hard"])
    item = next(one for one in task.items() if one.answer == "Tormund Island")
    assert {one.level for one in task.items()} == {"hard"} and len(task.items()) == 12

    def row(*answers):
        actions = iter([Action.call("Finish", answer=answer) for answer in answers])
        agent = type("Fixed", (), {"name": "fixed", "act": lambda *_: next(actions)})()
        return task.score(item, episode(task, item, agent))

    assert row("Tormund Island")["accuracy"] is True
    found = row("the tormund island.")
    assert (found["reward"], found["em"], found["accuracy"], found["failure"]) == (1.0, True, False, "")
    found = row("Tormund")
    assert (found["reward"], found["success"], found["failure"]) == (pytest.approx(2 / 3), False, "wrong_answer")
    assert (found["kind"], found["type"], found["expected"], found["actions"]) == (
        "hard",
        "bridge",
        "Tormund Island",
        1,
    )


def test_settings_that_leave_nothing_are_refused(tmp_path):
    with pytest.raises(TaskError, match="no question of split 'dev'"):
        HotpotQATask("dev")
    (tmp_path / "q.json").write_text('[{"question": "Q?", "answer": "A"}]')
    with pytest.raises(HotpotError, match="bring no paragraphs"):
        HotpotQATask(path=tmp_path / "q.json")
    (tmp_path / "wiki.jsonl").write_text('{"title": "T", "sentences": ["It is A."]}\n')
    task = HotpotQATask(path=[tmp_path / "q.json"], wiki=tmp_path / "wiki.jsonl")
    assert result_of(task, task.expert).rows[0]["em"] and isinstance(task.wiki, Corpus)


def test_a_keyword_leads_to_its_sentence_at_once():
    article = Article("T", ("A cat sat.", "A cat ran off.", "A cat sat."))
    assert keyword_of(article, 1) == "ran" and keyword_of(article, 1, "What went off?") == "off"
    assert keyword_of(article, 2) == "A cat sat."


# the original's records


def test_the_expert_solves_the_originals_questions(real_data):
    files = [real_data / "hotpotqa" / f"bolaa_{level}_with_context.jsonl" for level in ("easy", "medium", "hard")]
    task = HotpotQATask(path=files)
    assert len(task.wiki.articles) == 240
    result = result_of(task, task.expert)
    assert len(result.rows) == 24 and result.mean("reward") == result.mean("accuracy") == 1.0
    assert {kind: found["n"] for kind, found in result.by_kind().items()} == {"easy": 8, "medium": 8, "hard": 8}


def test_all_questions_of_the_original_can_be_read(real_data):
    folder = real_data / "hotpotqa"
    counts = {"bolaa_qa_without_heldout.jsonl": 264, "hotpot_dev_v1_simplified.json": 150, "bolaa_hard.jsonl": 25}
    for name, count in counts.items():
        task = HotpotQATask(path=folder / name, wiki=Corpus([]))
        assert len({item.id for item in task.items()}) == count
        assert all(f1_score(item.answer, item.answer) == 1.0 for item in task.items())


def test_our_scores_are_every_recorded_verdict(real_data):
    """ReAct and Reflexion agents' episodes, with the verdict that Reflexion's own exact match gave: all 112 agree."""
    source, task, counts = SOURCES["reflexion_hotpotqa"], HotpotQATask("train"), Counter()
    for name in ("react_base.txt", "react_reflexion.txt"):
        for line, record in source.split((real_data / "reflexion_hotpotqa" / name).read_text(encoding="utf-8")):
            (trajectory,) = source.convert(record, f"{name}:{line}")
            verdict = trajectory.outcome.success
            if verdict is None:  # halted before an answer: after six steps, or before the first one
                counts[trajectory.outcome.termination] += 1
                continue
            row = task.score(Question(f"{name}:{line}", "?", trajectory.extra["gold_answer"]), trajectory)
            assert row["success"] is row["em"] is verdict, row
            assert row["reward"] == 1.0 if verdict else row["failure"] in ("wrong_answer", "gave_up")
            counts[verdict] += 1
    assert counts == {True: 56, False: 56, "max_steps": 11, "unknown": 3}


def test_the_solved_examples_of_react_are_right(real_data):
    """The answers of its worked examples, against those of its examples without steps."""
    prompts = json.loads((real_data / "react" / "prompts_naive.json").read_text(encoding="utf-8"))
    answers, grammar = {}, tasks()["hotpotqa"]("train").environment(HotpotQATask("train").items()[0]).manual.actions
    for block in prompts["webqa_simple6"].split("Question:")[1:]:
        question, _, answer = block.partition("\nAnswer:")
        answers[question.strip()] = answer.strip()
    found = {}
    for block in prompts["webthink_simple6"].split("Question:")[1:]:
        question, _, rest = block.partition("\n")
        name, arguments = parse_loosely(grammar, rest.rstrip().rpartition("\n")[2].partition(": ")[2])
        assert name == "Finish"
        found[question.strip()] = arguments["answer"]
    assert len(found) == 6 and all(exact_match(answer, answers[question]) for question, answer in found.items())
