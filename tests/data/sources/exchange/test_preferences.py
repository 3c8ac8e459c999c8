"""Preference rows in every form, and the way from rows to the pairs that DPO is trained on."""

import json
from pathlib import Path

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.exchange.preferences import convert, rejected_siblings
from xlam_lib.data.unify import TRAJECTORIES, unify
from xlam_lib.train.preference.contrasts import main
from xlam_lib.train.preference.pairs import read_pairs

USER, GOOD, BAD = (
    {"role": role, "content": text} for role, text in (("user", "Q"), ("assistant", "a"), ("assistant", "b"))
)
TOLD = "chosen and rejected part in what the model was told"
TURNS = [{"from": "human", "value": "Q"}]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Q", "chosen": "a", "rejected": "b"},
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": "Q", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"prompt": [USER], "chosen": GOOD, "rejected": BAD},
        {"messages": [USER], "chosen": GOOD, "rejected": BAD},
        {"conversations": TURNS, "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}},
        {"instruction": "Q", "input": "", "chosen": "a", "rejected": "b"},
        {"question": "Q", "chosen": "a", "rejected": "b"},
        {"chosen": "\n\nHuman: Q\n\nAssistant: a", "rejected": "\n\nHuman: Q\n\nAssistant: b"},
        {"prompt": "\n\nHuman: Q\n\nAssistant:", "chosen": "a", "rejected": "b"},
    ],
)
def test_forms_of_a_row(row: dict) -> None:
    (sibling,) = rejected_siblings(row, "x.jsonl:1")
    assert (sibling.step_index, sibling.chosen.content, sibling.rejected.content) == (1, "a", "b")
    assert [step.content for step in convert(row, "x.jsonl:1")[0].steps] == ["Q", "a"]


def test_a_prompt_that_stands_nowhere_else_is_kept() -> None:
    (t,) = convert({"prompt": "About Q.", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, "x.jsonl:1")
    assert t.extra["prompt"] == "About Q."


def test_answers_of_the_prompt_are_not_trained() -> None:
    row = {"prompt": [USER, GOOD, USER], "chosen": "c", "rejected": "d"}
    assert [step.trainable for step in convert(row, "x.jsonl:1")[0].steps] == [True, False, True, True]


def test_answers_that_part_late() -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}
    result = {"role": "tool", "tool_call_id": "1", "content": "4"}
    row = {"prompt": [USER], "chosen": [call, result, GOOD], "rejected": [call, result, BAD]}
    assert rejected_siblings(row, "x.jsonl:1")[0].step_index == 3
    row["rejected"] = [call, {**result, "content": "5"}, BAD]
    with pytest.raises(Drop, match="part in what the model was told"):
        convert(row, "x.jsonl:1")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "Q", "chosen": "a", "rejected": "a"}, "chosen and rejected are the same"),
        ({"prompt": "Q", "chosen": "a"}, "no chosen and rejected answer"),
        ({"chosen": "a", "rejected": "b"}, "no prompt"),
        ({"prompt": "Q", "chosen": "a", "rejected": ""}, "the rejected answer can't be read"),
        ({"prompt": "Q", "chosen": [], "rejected": "b"}, "the chosen answer is empty"),
        ({"chosen": [USER, GOOD], "rejected": [USER, GOOD, USER]}, "one answer ends where the other goes on"),
        ({"chosen": [USER, GOOD], "rejected": [{**USER, "content": "R"}, BAD]}, TOLD),
    ],
)
def test_drops(row: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(row, "x.jsonl:1")
    assert drop.value.reason == reason


@pytest.mark.parametrize("unified", [True, False])
def test_from_rows_to_the_pairs_of_dpo(unified: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, pairs = samples_dir("preferences") / "raw", tmp_path / "pairs.jsonl"
    given = ["--branches", f"preferences={rows}"]
    if unified:
        unify("preferences", rows, tmp_path / "out")
        given = ["--data", str(tmp_path / "out" / TRAJECTORIES)]
    assert main([*given, "--out", str(pairs)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["left_out"] == {}
    found = read_pairs(pairs)
    assert [(pair.origin, pair.failure, pair.step) for pair in found] == [
        ("preference", "no_call", 2),
        ("preference", "no_call", 2),
        ("preference", "words", 1),
        ("preference", "words", 3),
    ]
    assert "How many degrees in Oslo?" in found[0].prompt
    assert json.loads(found[0].chosen)["tool_calls"] and json.loads(found[0].rejected)["thought"] == "It is 4 degrees."
