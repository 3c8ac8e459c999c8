"""Splits share no task and no tool set; contamination is found by words in a row."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.golden import samples_dir
from xlam_lib.data.pipeline.contamination import N, Questions, benchmark_questions, words_of
from xlam_lib.data.pipeline.splitting import SIDES, Disjoint, Groups, SplitError, check_disjoint
from xlam_lib.data.reading import ReadError
from xlam_lib.trajectory import Task, read_jsonl

PAIRS = st.lists(st.tuples(st.integers(0, 12).map(str), st.integers(0, 12).map(lambda n: str(n or ""))), min_size=1)


@given(pairs=PAIRS, seed=st.integers(0, 5), by=st.sampled_from([("task",), ("tools",), ("task", "tools")]))
def test_no_split_shares_anything(pairs: list, seed: int, by: tuple[str, ...]) -> None:
    groups = Groups(by)
    for task, tools in pairs:
        groups.add(task, tools)
    side, proof = groups.assign((0.6, 0.2, 0.2), seed), Disjoint(by)
    for task, tools in pairs:
        proof.see(task, tools, side(task, tools))


@given(pairs=PAIRS, order=st.randoms())
def test_the_order_of_the_trajectories_does_not_matter(pairs: list, order) -> None:
    shuffled = list(pairs)
    order.shuffle(shuffled)
    sides = []
    for rows in (pairs, shuffled):
        groups = Groups()
        for task, tools in rows:
            groups.add(task, tools)
        side = groups.assign((0.6, 0.2, 0.2))
        sides.append([side(task, tools) for task, tools in pairs])
    assert sides[0] == sides[1]


def test_shares_are_met_where_the_groups_are_small() -> None:
    groups = Groups()
    for i in range(1000):
        groups.add(str(i), str(i % 200))
    side = groups.assign((0.9, 0.05, 0.05), seed=1)
    found = [side(str(i), str(i % 200)) for i in range(1000)]
    assert [found.count(name) for name in SIDES] == [900, 50, 50]


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.9, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_shares_that_make_no_sense(shares: tuple[float, ...]) -> None:
    with pytest.raises(SplitError, match="expected three that sum to 1"):
        Groups().assign(shares)


def test_a_leak_is_named() -> None:
    t = next(read_jsonl(samples_dir("xlam_fc_60k") / "unified.jsonl"))
    train, test = (dataclasses.replace(t, split=side, task=Task("", side)) for side in ("train", "test"))
    with pytest.raises(SplitError, match=f"tools '{t.toolset_id}' is in train and in test"):
        check_disjoint([train, test])
    assert check_disjoint([train, test], by=["task"]) == {"train": 1, "val": 0, "test": 1}
    with pytest.raises(SplitError, match="side ''"):
        check_disjoint([t])


def test_questions_are_found_by_their_words() -> None:
    long = "Find the area of a triangle with a base of 10 units and height of 5 units."
    questions = Questions.of({"q1": [long], "q2": ["Who won the world series in 1998?"], "q3": ["What time is it?"]})
    assert questions.hit("Please: FIND the area of a triangle, with a base of 10 units!").startswith(
        "q1: find the area"
    )
    assert questions.hit("Tell me who won the world series in 1998, please") == "q2: who won the world series in 1998"
    assert questions.hit("the area of a triangle with a base of 12 units") == ""
    assert questions.hit("What time is it?") == ""
    assert len(words_of(long)) > N


def test_questions_survive_the_file(tmp_path: Path) -> None:
    questions = Questions.of({"q1": ["a b c d e f g"], "q2": [" ".join("abcdefghijkl")]})
    questions.save(tmp_path / "q.json")
    assert Questions.load(tmp_path / "q.json") == questions


def test_the_questions_of_bfcl_are_found() -> None:
    pytest.importorskip("bfcl_eval")
    questions = benchmark_questions(["bfcl"])
    assert len(questions.long) > 10_000
    asked = "Find the area of a triangle with a base of 10 units and height of 5 units."
    assert questions.hit(asked).startswith("simple_python_0: ")


def test_files_of_questions(tmp_path: Path) -> None:
    rows = ['{"id": "a", "question": "one two three four five six"}', '"six five four three two one"', ""]
    (tmp_path / "q.jsonl").write_text("\n".join(rows), encoding="utf-8")
    questions = benchmark_questions([str(tmp_path / "q.jsonl")])
    assert questions.hit("one two three four five six") == "a: one two three four five six"
    assert questions.hit("six five four three two one").startswith("q.jsonl:2")
    (tmp_path / "q.jsonl").write_text(json.dumps({"id": 1})[:-2], encoding="utf-8")
    with pytest.raises(ReadError, match=r"q\.jsonl:1: not JSON"):
        benchmark_questions([str(tmp_path / "q.jsonl")])
