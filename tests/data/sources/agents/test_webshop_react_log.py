"""The printed log of a shopping agent: episodes, thoughts, scores."""

import re
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.webshop_react_log import convert, native, split
from xlam_lib.trajectory import Trajectory

RESET = "Action: reset\nObservation: \nWebshop \nInstruction:  \na red lamp \n[Search] \n\n"
LOG = (
    "noise\n-----------------\n7\n"
    + RESET
    + "Action: search[red lamp]\nObservation: \n[Back to Search] \n\n"
    + "Action: think[B1 fits.]\nObservation: OK.\n\nAction: click[B1]\nObservation: Invalid action!\n\n"
    + "Action: exit[quit]\nObservation: Invalid action!\n\n"
    + "Action: click[Buy Now]\nObservation: Your score (min 0.0, max 1.0): 0.5\n\n8 0.1 0.0 0.0\n-------------\n"
)


def one(record: dict) -> Trajectory:
    (t,) = convert(record, "/data/log.txt:1")
    t.validate()
    return t


def test_one_episode():
    ((line, record),) = split(LOG)
    assert (line, record["episode"], record["so_far"]) == (2, 7, "8 0.1 0.0 0.0")
    t = one(record)
    assert t.trajectory_id == "webshop_react_log/7"
    assert t.steps[0].content == "Webshop \nInstruction:  \na red lamp \n[Search]"
    assert (t.steps[3].reasoning, t.steps[3].tool_calls[0].arguments) == ("B1 fits.", {"element": "B1"})
    assert t.steps[4].is_error and not t.steps[5].trainable
    assert (t.outcome.reward, t.outcome.success, t.outcome.termination) == (0.5, False, "failure")
    actions = ["reset", "search[red lamp]", "think[B1 fits.]", "click[B1]", "exit[quit]", "click[Buy Now]"]
    assert native(t) == actions


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("Action: click[Buy Now]\nObservation: Your score (min 0.0, max 1.0): 1.0\n", (1.0, True, "success")),
        ("Action: click[Buy Now]\nObservation: \n", (0.0, False, "failure")),
        ("Action: click[Next >]\nObservation: Invalid action!\n", (0.0, False, "max_steps")),
    ],
)
def test_outcomes(end, outcome):
    found = one({"episode": 1, "log": RESET + end}).outcome
    assert (found.reward, found.success, found.termination) == outcome


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"episode": 1, "log": "Action: look\nObservation: x"}, "an episode that doesn't begin with a reset"),
        ({"episode": 1, "log": RESET}, "an episode without an action"),
        ({"episode": "1", "log": RESET}, "'episode' is not a whole number"),
        ({"episode": 1}, "no 'log'"),
    ],
)
def test_drops(record, reason):
    with pytest.raises(Drop) as drop:
        convert(record, "/data/log.txt:1")
    assert drop.value.reason == reason


def test_real_episodes(real_data: Path):
    path = real_data / "webshop_react_log"
    accounting = Accounting("webshop_react_log")
    trajectories = list(load_source("webshop_react_log", path, accounting))
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(path.glob("*.txt")))
    blocks = text.split("\n-------------\n")
    assert accounting.dropped == {} and accounting.quarantined == 0
    assert accounting.records_in == accounting.records_converted == len(blocks) - (not blocks[-1].strip())
    assert len(trajectories) == accounting.trajectories == accounting.records_in
    total = 0.0
    for number, (t, block) in enumerate(zip(trajectories, blocks, strict=False), start=1):
        assert native(t) == re.findall(r"^Action: (.*)$", block, re.MULTILINE)
        total += t.outcome.reward
        if t.trajectory_id.endswith(f"/{number - 1}"):  # the log's own running mean
            assert float(block.rsplit("\n", 1)[1].split()[1]) == pytest.approx(total / number)
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
