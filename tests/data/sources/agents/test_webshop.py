"""WebShop's own files: searches that people made, and what is no trajectory."""

import json
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.webshop import convert, native, split, unpack

GOAL = "a goal without an action: no trajectory to convert"
PRODUCT = "attributes of a product: no trajectory to convert"
CASE = "a test case of the reward function: no trajectory to convert"
PAGE = "a page of the shop: no trajectory to convert"


def test_each_search_of_a_goal_is_a_trajectory():
    (record,) = unpack({"a red lamp ": ["red lamp", "lamp [red]"]})
    one, two = convert(record, "/data/goal_query_map.json:1")
    assert (one.steps[0].content, one.tags[:2]) == ("a red lamp", ("gold", "single"))
    assert native(one) + native(two) == ["search[red lamp]", "search[lamp [red]]"]
    assert one.task == two.task and one.trajectory_id != two.trajectory_id
    one.validate(), two.validate()


def test_lists_of_goals_and_pages_are_split():
    text = '[\n "a \\"lamp\\"",\n "a café",\n {"a": 1}\n]'
    assert [(line, record["kind"]) for line, record in split(text)] == [(2, "goal"), (3, "goal"), (4, "list")]
    assert list(split("<html>\n")) == [(1, {"kind": "page", "html": "<html>\n"})]
    assert list(split(" ")) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"kind": "goal", "goal": "a lamp"}, GOAL),
        ({"kind": "page", "html": "<html>"}, PAGE),
        ({"kind": "list", "goal": "[1]"}, "a list that is not of goals: no trajectory to convert"),
        ({"B07": {"attributes": ["red"]}}, PRODUCT),
        ({"asin": "B07", "name": "Lamp"}, PRODUCT),
        ({"type_reward": [{"goal": {}, "expect": {}}]}, CASE),
        ({"normalize_color": [["dark red", "red"], ["", ""]]}, CASE),
        ({"a lamp": []}, "a goal or a search without words"),
        ({"kind": "guess"}, "a record of an unknown kind"),
        ({"other": 3}, "no 'kind'"),
    ],
)
def test_drops(value: dict, reason: str):
    for record in unpack(value):
        with pytest.raises(Drop) as drop:
            convert(record, "/data/x.json:1")
        assert drop.value.reason == reason


def test_real_files(real_data: Path):
    path = real_data / "webshop"
    accounting = Accounting("webshop")
    trajectories = list(load_source("webshop", path, accounting))
    read = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in path.glob("*.json")}
    searches = read["goal_query_map"]
    pages = sum(file.name.startswith("mock_") for file in path.iterdir())
    assert accounting.ignored_files == [] and accounting.quarantined == 0
    assert accounting.records_converted == len(searches)
    assert accounting.dropped == {
        GOAL: len(read["human_goals"]),
        PRODUCT: len(read["items_ins_v2_1000"]),
        CASE: sum(map(len, read["reward_oracle_cases"].values())),
        PAGE: pages,
    }
    expected = [(goal.strip(), f"search[{search}]") for goal, found in searches.items() for search in found]
    assert [(t.steps[0].content, *native(t)) for t in trajectories] == expected
    for t in trajectories:
        ((index, _, completion),) = prompts_of(t)
        assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
