"""Rollouts of verifiers: rewards, scores, tasks that several rollouts share."""

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.exchange.verifiers import convert, unpack
from xlam_lib.train.preference.contrasts import Contrasts
from xlam_lib.trajectory import Trajectory

ASKED = [{"role": "user", "content": "2 + 2?"}]


def one(**more: object) -> Trajectory:
    said = [{"role": "assistant", "content": "4"}]
    (trajectory,) = convert({"prompt": ASKED, "completion": said, "reward": 1, **more}, "x.jsonl:1")
    trajectory.validate("warning")
    return trajectory


def test_reward_scores_and_the_right_answer() -> None:
    t = one(answer="4", info={"level": 1}, metrics={"exact": 1.0}, speed=0.5, stop_condition="done", notes=["x"])
    assert (t.outcome.reward, t.outcome.success) == (1.0, None)
    assert t.outcome.checks == {"exact": 1.0, "speed": 0.5}
    assert t.extra == {"answer": "4", "info": {"level": 1}, "stop_condition": "done", "notes": ["x"]}


@pytest.mark.parametrize(
    ("fields", "ended"),
    [
        ({"error": {"error": "SandboxError", "error_chain_str": "..."}}, "infra_error"),
        ({"stop_condition": "max_turns_reached"}, "max_steps"),
        ({"is_truncated": True}, "max_steps"),
        ({"stop_condition": "no_tools_called", "error": None}, "unknown"),
    ],
)
def test_how_it_ended(fields: dict, ended: str) -> None:
    assert one(**fields).outcome.termination == ended


def test_examples_in_the_prompt_are_not_trained() -> None:
    t = one(prompt=[{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}, *ASKED])
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [False, True]


def test_rollouts_of_one_example_are_compared_for_dpo() -> None:
    found = Contrasts()
    found.add_outcomes(load_source("verifiers", samples_dir("verifiers") / "raw"))
    assert [(pair.origin, pair.failure) for pair in found.pairs] == [("outcome", "wrong_value")]


def test_files_that_are_one_object() -> None:
    rows = [{"prompt": "a", "completion": "b", "reward": 1.0}, {"prompt": "c", "completion": "d", "reward": 0.0}]
    assert unpack({"outputs": rows, "metadata": {}}) == rows
    columns = {key: [row[key] for row in rows] for key in rows[0]} | {"metrics": {"exact": [1, 0]}, "metadata": {}}
    assert unpack(columns) == [{**row, "metrics": {"exact": 1 - n}} for n, row in enumerate(rows)]
    assert unpack(rows[0]) == [] and unpack({"prompt": ASKED}) == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"env_id": "sums", "model": "m", "avg_reward": 0.5}, "metadata of a run: no trajectory to convert"),
        ({"prompt": ASKED, "completion": None, "error": {"error": "x"}}, "the completion is empty"),
        ({"prompt": 3, "completion": "x"}, "'messages' is not a list of objects"),
        ({"text": "x"}, "no prompt and completion"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.jsonl:1")
    assert drop.value.reason == reason
