"""The original's reward cases, people's sessions and ReAct's 250 episodes, scored again."""

import json
from collections import Counter

import pytest

from xlam_lib.bench.base import TaskError
from xlam_lib.bench.tasks.webshop_records import Check, cases, react_log, session


def test_the_original_s_cases_of_the_reward(real_data):
    """All figures are equal, but for one title, in which spaCy finds fewer nouns than we do."""
    checks = cases(json.loads((real_data / "webshop" / "reward_oracle_cases.json").read_text()))
    assert len(checks) == 42
    (other,) = [check for check in checks if not check.agrees]
    assert (other.what, other.ours, other.recorded) == ("type_reward/7 title_score", 0.5, 0.333)
    titles = [check for check in checks if check.what.endswith("title_score")]
    assert sum(check.agrees for check in titles) == 4  # of 5, one of them exact


def test_people_s_sessions(real_data):
    """Every part and every reward is the recorded one, but for the title score of the one product that is known."""
    found = {}
    for path in sorted((real_data / "webshop_human_trajs").iterdir()):
        checks = session(path.read_text().splitlines())
        assert {check.what for check in checks} >= {"r_type", "r_option", "r_price", "reward"}
        found[path.stem] = [check.recorded for check in checks if check.what == "reward"]
        others = [check for check in checks if not check.agrees]
        if path.stem == "20220427_1_7":
            (other,) = others
            assert (other.what, round(other.ours, 3), round(other.recorded, 3)) == ("bought title_score", 0.952, 0.913)
        else:
            assert others == []
    rewards = sorted(reward for (reward,) in found.values())
    assert rewards == [1 / 3, 0.5, 2 / 3, 0.75, 1.0, 1.0]


def test_a_reward_that_isn_t_the_recorded_one_is_seen(real_data):
    lines = (real_data / "webshop_human_trajs" / "20220427_1_15.jsonl").read_text().splitlines()
    done = json.loads(lines[-1])
    done["content"]["options"]["color"] = "green"
    others = {check.what for check in session([*lines[:-1], json.dumps(done)]) if not check.agrees}
    assert others == {"r_option", "reward"}


def test_react_s_episodes(real_data):
    """The published log: mean reward and success of all episodes, and what it counted after each of them."""
    rows = react_log((real_data / "webshop_react_log" / "episodes_000_249.txt").read_text())
    assert len(rows) == 250
    total = full = 0
    for number, row in enumerate(rows, 1):
        total, full = total + row["reward"], full + row["success"]
        assert row["so_far"] == pytest.approx([number, total / number, full / number, 0.0])
    assert round(total / 250, 4) == 0.6462 and full / 250 == 0.348
    failures = Counter(row["failure"] for row in rows)
    assert failures == {"": 87, "wrong_answer": 148, "bad_format": 7, "max_steps": 5, "loop": 3}


def test_records_that_are_none_are_refused():
    with pytest.raises(TaskError, match="cases of 'other'"):
        cases({"other": [{}]})
    with pytest.raises(TaskError, match="no purchase"):
        session(['{"page": "index"}'])
    with pytest.raises(TaskError, match="not JSON"):
        session(["{"])
    with pytest.raises(TaskError, match="no purchase"):
        session([])
    assert react_log("") == []


@pytest.mark.parametrize(
    ("check", "agrees"),
    [
        (Check("x", 0.5, 0.5), True),
        (Check("x", 0.5, 0.51), False),
        (Check("x", 0.505, 0.51, 0.01), True),
        (Check("x", 0.04, 0.05, at_most=True), True),
        (Check("x", 0.05, 0.05, at_most=True), False),
        (Check("x", None, 0.5), False),
        (Check("x", None, None), True),
        (Check("x", True, 1.0), True),
    ],
)
def test_checks(check, agrees):
    assert check.agrees is agrees
