"""Pairs from the branches of a search and from runs of one task that ended differently."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from train_demo import STYLE, trajectory

from xlam_lib.codec import prompts_of
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import load_source
from xlam_lib.train.preference import contrasts
from xlam_lib.train.preference.contrasts import Contrasts, first_difference, is_better, main, task_key
from xlam_lib.train.preference.pairs import read_pairs
from xlam_lib.trajectory import Outcome, Rating, Task, ToolCall, write_jsonl


def ran(name="a", city="", observation="", thought="", reward=None, success=None, ratings=(), end="unknown", words=""):
    """The weather of a city: one call, its result, an answer."""
    one = trajectory(3, "multi_step")
    user, call, result, answer = one.steps
    if city:
        call = replace(call, tool_calls=(ToolCall("get_weather", {"city": city}, "call_0"),))
    steps = (
        user,
        replace(call, reasoning=thought),
        replace(result, content=observation or result.content),
        replace(answer, content=words or answer.content),
    )
    quality = tuple(Rating("critic", "critic", score) for score in ratings)
    outcome = Outcome(success, reward, end)
    return replace(one, trajectory_id=name, steps=steps, outcome=outcome, quality=quality, task=Task("", "t-1"))


def collected(*trajectories) -> Contrasts:
    found = Contrasts(STYLE)
    found.add_outcomes(trajectories)
    return found


def test_the_call_at_which_a_worse_run_parts_makes_a_pair():
    good, bad = ran("good", thought="Norway it is.", reward=1.0), ran("bad", "Malmö", reward=0.0, thought="Sweden?")
    (pair,) = collected(bad, good).pairs
    step, prompt, answer = prompts_of(good, STYLE)[0]
    assert (pair.prompt, pair.chosen, pair.step, pair.trajectory_id) == (prompt, answer, step, "good")
    assert "Malmö" in pair.rejected and "Sweden?" in pair.rejected
    assert (pair.origin, pair.failure, pair.kind) == ("outcome", "wrong_value", "multi_step")


def test_thoughts_may_differ_on_the_way_for_what_happened_is_the_same():
    again = ToolCall("get_weather", {"city": "Oslo"}, "call_1")
    good, bad = ran("good", thought="Let me look.", success=True), ran("bad", thought="Hm.", success=False)
    bad = replace(bad, steps=(*bad.steps[:3], replace(bad.steps[3], content="", tool_calls=(again,))))
    (pair,) = collected(good, bad).pairs
    assert pair.step == 3 and pair.failure == "called_though_irrelevant"
    assert "Let me look." in pair.prompt and "Hm." not in pair.prompt


@pytest.mark.parametrize(
    ("low", "message"),
    [
        (ran(observation="no such city", reward=0.0), "what the agent was told differs before what it did"),
        (ran(words="It is cold.", reward=0.0), "they part in words, not in calls"),
        (ran("Malmö"), "no trajectory of its task ended better"),
        (ran(city="Malmö", reward=0.0, end="infra_error"), "no trajectory of its task ended better"),
        (replace(ran(reward=0.0), steps=ran().steps[:3]), "one ends where the other goes on"),
        (replace(ran(city="Malmö", reward=0.0), task=Task("", "t-2")), "the only trajectory of its task"),
    ],
)
def test_what_makes_no_pair_is_counted(low, message):
    found = collected(ran(reward=1.0), low)
    assert not found.pairs and found.left_out[f"outcome: {message}"] >= 1
    assert found.left_out.total() == 2 or message != "the only trajectory of its task"


def test_a_step_that_is_not_to_be_learnt_makes_no_pair():
    good = ran(reward=1.0)
    good = replace(good, steps=tuple(replace(step, trainable=False) for step in good.steps))
    found = collected(good, ran(city="Malmö", reward=0.0))
    assert not found.pairs and found.left_out["outcome: the step is not to be learnt"] == 1


def test_better_by_the_first_score_that_both_have():
    assert is_better(ran(reward=0.5), ran(reward=0.4, success=True)) and not is_better(ran(reward=0.5), ran(reward=0.5))
    assert is_better(ran(success=True, ratings=(1.0,)), ran(success=False, ratings=(5.0,)))
    assert is_better(ran(reward=1.0, ratings=(4.0, 5.0)), ran(ratings=(4.0,))), "a reward that one has says nothing"
    assert not is_better(ran(reward=1.0), ran(success=False)) and not is_better(ran(), ran())


def test_the_better_run_that_goes_along_longest_is_taken():
    near, far = ran("near", reward=0.6, words="It is 4."), ran("far", "Turku", reward=1.0)
    low = ran("low", reward=0.0)
    low = replace(low, steps=(*low.steps[:3], replace(low.steps[3], tool_calls=(ToolCall("add", {}, "call_1"),))))
    assert first_difference(near, low) == (3, "") and first_difference(far, low) == (1, "")
    by_good = {pair.trajectory_id: pair.step for pair in collected(far, near, low).pairs}
    assert by_good == {"near": 3, "far": 1}, "and near itself parts from far at the first call"


def test_tasks_are_told_apart_by_their_id_or_by_words_and_tools():
    one = replace(ran(), task=Task())
    assert task_key(ran()) == ("demo", "t-1") and task_key(one) == task_key(replace(one, tools=one.tools[::-1]))
    assert task_key(one) != task_key(replace(one, tools=one.tools[:2]))


def test_branches_that_a_search_left_become_pairs(tmp_path, capsys):
    raw, out = samples_dir("toolbench") / "raw", tmp_path / "pairs.jsonl"
    assert main(["--branches", f"toolbench={raw}", "--out", str(out), "--held-out", "0"]) == 0
    summary = json.loads(capsys.readouterr().out)
    pairs = read_pairs(out)
    assert summary["pairs"] == len(pairs) == 2 and {pair.origin for pair in pairs} == {"branch"}
    assert all("get_track_info_for_pridnestrovie_post" in pair.rejected for pair in pairs)
    assert {pair.step for pair in pairs} == {1, 3} and {pair.split for pair in pairs} == {"train"}
    assert summary["left_out"]["branch: a search without a rejected branch"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--branches", "tau_bench=x"], "source 'tau_bench' keeps no rejected branches; those that do: .*toolbench"),
        (["--data", "nowhere.jsonl"], "nowhere.jsonl"),
        ([], "no pairs at all; left out: {}"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, arguments, message):
    import re

    assert main([*arguments, "--out", str(tmp_path / "pairs.jsonl")]) == 2
    assert re.search(f"^error: .*{message}", capsys.readouterr().err)
    assert not (tmp_path / "pairs.jsonl").exists()


def test_the_command_reads_unified_files(tmp_path, capsys):
    write_jsonl(tmp_path / "t.jsonl", [ran("good", reward=1.0), ran("bad", "Malmö", reward=0.0)])
    assert main(["--data", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "pairs.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["outcome/wrong_value"] == 1


@pytest.mark.real_data
def test_real_searches_and_real_retries(real_data):
    found = Contrasts(STYLE)
    contrasts.branches("toolbench", real_data / "toolbench", found)
    assert Counter(pair.origin for pair in found.pairs) == {"branch": 3}
    found.add_outcomes(load_source("reflexion_hotpotqa", real_data / "reflexion_hotpotqa"))
    (pair,) = [pair for pair in found.pairs if pair.origin == "outcome"]
    assert '"answer": "Anne Perry"' in pair.chosen and '"answer": "Anne"' in pair.rejected
    assert found.left_out["outcome: what the agent was told differs before what it did"] == 1


@pytest.mark.real_data
def test_real_trials_of_one_task_make_no_pair_where_the_user_said_something_else(real_data):
    """Of the six tasks that have two trials, three ended differently; the simulated user greets in other words."""
    trials = list(load_source("tau_bench", real_data / "tau_bench"))
    tasks = {key: [t for t in trials if task_key(t) == key] for key in map(task_key, trials)}
    apart = [pair for pair in tasks.values() if len({t.outcome.reward for t in pair}) == 2]
    assert len(apart) == 3 and sum(len(pair) == 2 for pair in tasks.values()) == 6
    assert all(one.steps[0].content != other.steps[0].content for one, other in apart)
    found = collected(*trials)
    assert not found.pairs and found.left_out == {
        "outcome: what the agent was told differs before what it did": 3,
        "outcome: the only trajectory of its task": 22,
        "outcome: no trajectory of its task ended better": 3 + 6,
    }
