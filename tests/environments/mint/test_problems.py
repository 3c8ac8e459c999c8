"""The problems: our own are whole and differ, the original's files are read as the model got them."""

import json
import logging
from collections import Counter

import pytest

from xlam_lib.environments.mint.problems import FAMILIES, ProblemError, embedded_problems, read_problems


def test_our_own_are_of_all_families_and_both_splits():
    problems = embedded_problems()
    assert len({problem.id for problem in problems}) == len({problem.prompt for problem in problems}) == 61
    assert Counter(problem.split for problem in problems) == {"train": 31, "test": 30}
    for split in ("train", "test"):
        assert {problem.family for problem in problems if problem.split == split} == set(FAMILIES)
    assert all(problem.code for problem in problems)
    assert all(len(problem.options) == 4 for problem in problems if problem.family == "mmlu")


def test_prompts_of_the_original_are_what_its_runs_had(real_data):
    """Problems that are both in the files of prompts and in the records: the same prompt, reference and options."""
    folder = real_data / "mint_bench"
    asked = {problem.id: problem for problem in read_problems(folder / "tasks")}
    played = {problem.id: problem for problem in read_problems(folder / "raw")}
    assert Counter(problem.family for problem in asked.values()).keys() == set(FAMILIES)
    both = asked.keys() & played.keys()
    assert len(both) >= 10
    for name in both:
        assert asked[name].prompt.strip() == played[name].prompt.strip()
        assert str(asked[name].reference).lower() == str(played[name].reference).lower()
        assert asked[name].options == played[name].options


def test_alfworld_is_left_out_aloud(real_data, caplog):
    with caplog.at_level(logging.WARNING):
        problems = read_problems(real_data / "mint_bench" / "raw")
    assert "8 tasks of ALFWorld are left out" in caplog.text
    assert {problem.family for problem in problems} == set(FAMILIES)


def test_files_that_hold_no_problems_say_so(tmp_path):
    (tmp_path / "notes.json").write_text("{}\n")
    with pytest.raises(ProblemError, match="no problems; expected files whose name or folder"):
        read_problems(tmp_path)
    path = tmp_path / "gsm8k_test_prompts.json"
    path.write_text('{"id": 1, "prompt": "?", "reference": "1"}\n{"id": 2, "pro')
    with pytest.raises(ProblemError, match=r"gsm8k_test_prompts.json:2: not a line of JSON"):
        read_problems(path)
    for fault in ([1], {"id": 1, "prompt": 5, "reference": 1}, {"task": {"prompt": "?"}}, {"id": 3, "prompt": "?"}):
        path.write_text(json.dumps(fault) + "\n")
        with pytest.raises(ProblemError, match=":1: no problem; expected an object"):
            read_problems(path)
