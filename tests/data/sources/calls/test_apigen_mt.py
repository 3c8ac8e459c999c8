"""APIGen-MT-5k: records written in its shape."""

import json

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.calls.apigen_mt import convert, native
from xlam_lib.trajectory import Trajectory, read_jsonl

RAW = samples_dir("apigen_mt") / "raw" / "apigen-mt_5k.json"


def records() -> list[dict]:
    return json.loads(RAW.read_text(encoding="utf-8"))


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, str(RAW))
    trajectory.validate()
    return trajectory


def test_samples() -> None:
    cancelled, failed, think = (one(record) for record in records())
    assert [step.role[0] for step in cancelled.steps] == list("uauatatauatau")
    assert cancelled.task.instruction.startswith("# Retail agent policy")
    assert cancelled.steps[-1].content == "Thank you!" and cancelled.extra["stop"] == "Thank you! ###STOP###"
    assert [step.is_error for step in failed.steps if step.role == "tool"] == [True]
    assert [step.content for step in think.steps if step.role == "tool"] == ["", "Transfer successful"]
    assert think.steps[-1].role == "assistant" and think.extra["stop"] == "###STOP###"
    assert all(t.outcome.success is None for t in (cancelled, failed, think))


def test_call_texts_come_back() -> None:
    for record in records():
        texts = [turn["value"] for turn in record["conversations"] if turn["from"] == "function_call"]
        assert native(one(record)) == texts
        record["conversations"] = [
            {**turn, "value": turn["value"].replace(": ", ":") if turn["from"] == "function_call" else turn["value"]}
            for turn in record["conversations"]
        ]
        assert native(one(record)) == [text.replace(": ", ":") for text in texts]


def test_stored_samples_are_what_is_made() -> None:
    made = [dict(steps=one(record).steps, tools=one(record).tools) for record in records()]
    kept = list(read_jsonl(samples_dir("apigen_mt") / "unified.jsonl"))
    assert made == [dict(steps=t.steps, tools=t.tools) for t in kept]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"conversations": []}, "no messages"),
        ({"tools": "[{"}, "tools are not JSON"),
        ({"conversations": [{"from": "human", "value": "Hi"}]}, "no assistant turn"),
        ({"tools": '[{"name": "other"}]'}, "call of an undeclared tool"),
    ],
)
def test_drops(changes: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert({**records()[0], **changes}, "x.json:1")
    assert drop.value.reason == reason
