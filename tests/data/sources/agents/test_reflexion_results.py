"""Trials of Reflexion in ALFWorld and WebShop: results without steps, logs with them."""

import json
from pathlib import Path

import pytest

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.reflexion_results import convert, native, split

WITHOUT_STEPS = "a result and its reflections, without the steps: no trajectory to convert"


def test_logs_of_both_environments():
    home, failed, shop = load_source("reflexion_results", samples_dir("reflexion_results") / "raw")
    assert home.steps[0].content.startswith("Your memory for the task below:\nTrial 0:\nI looked for the bowl")
    assert home.steps[0].content.endswith("Your task is to: put a clean bowl in shelf.")
    assert "examples" not in home.steps[0].content and "reflexion" in home.tags
    assert home.steps[1].reasoning.endswith("\nAs my memory says, I try the countertop first.")
    assert native(home)[1:3] == ["think: As my memory says, I try the countertop first.", "go to countertop 1"]
    assert (home.outcome.success, home.outcome.termination) == (True, "success")
    assert native(failed)[-3:] == ["take egg from fridge 1", "warm up the egg 1", "warm up the egg 1"]
    assert (failed.outcome.success, failed.outcome.termination) == (False, "unknown")
    assert failed.steps[6].is_error and not failed.steps[7].trainable
    assert (native(shop)[0], native(shop)[-1]) == ("reset", "click[Buy Now]")
    assert [call.name for step in shop.steps for call in step.tool_calls] == ["search", "click", "click", "click"]


def test_every_block_of_a_log_is_a_record():
    blocks = ("Environment #0: Success", "Environment #1:\nAssertion Error\n\nSTATUS: FAIL")
    text = "".join(f"\n#####\n\n{block}\n\n#####\n" for block in blocks)
    assert list(split(text)) == [
        (4, {"environment": 0, "log": "Success"}),
        (10, {"environment": 1, "log": "Assertion Error\n\nSTATUS: FAIL"}),
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"name": "env_0", "memory": [], "is_success": True}, WITHOUT_STEPS),
        (
            {"environment": 0, "log": "Success"},
            "solved in an earlier trial, not played again: no trajectory to convert",
        ),
        (
            {"environment": 0, "log": "Assertion Error\n\nSTATUS: FAIL"},
            "the run crashed before its first step: no trajectory to convert",
        ),
        ({"environment": 0, "log": "Here is the task:\nA room.\n\nSTATUS: FAIL"}, "a log without a step"),
        ({"environment": 0, "log": "> reset\na page"}, "a log without a step"),
        ({"environment": 0, "log": "> look\na room"}, "a log without a task"),
        ({"name": "env_0"}, "no 'environment'"),
    ],
)
def test_drops(record, reason):
    with pytest.raises(Drop) as drop:
        convert(record, "/data/trial_0.log:1")
    assert drop.value.reason == reason


def test_real_results_hold_no_steps(real_data: Path):
    path = real_data / "reflexion_results"
    accounting = Accounting("reflexion_results")
    assert list(load_source("reflexion_results", path, accounting)) == []
    count = sum(len(json.loads(file.read_text(encoding="utf-8"))) for file in path.glob("*.json"))
    assert (accounting.records_in, accounting.dropped) == (count, {WITHOUT_STEPS: count})
