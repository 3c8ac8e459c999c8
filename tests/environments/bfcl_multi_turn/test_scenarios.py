"""BFCL's conversations as our types: all of them, the real folder, and data that are not as expected."""

import functools
import json

import pytest

from xlam_lib.environments.bfcl_multi_turn import BfclError, Scenario, data_folder, load, practice
from xlam_lib.environments.bfcl_multi_turn.scenarios import CATEGORIES, DOCUMENTS
from xlam_lib.schema import Step, ToolCall
from xlam_lib.trajectory import Source, Trajectory


@functools.cache
def packaged(category):
    return load(category)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_conversation_is_sound(category):
    found = packaged(category)
    assert len(found) == 200 == len({scenario.id for scenario in found})
    for scenario in found:
        assert len(scenario.turns) == len(scenario.answers) == len(scenario.ground_truth)
        assert all(scenario.turns) == (category != "multi_turn_miss_func")
        assert {call.name for calls in scenario.ground_truth for call in calls} <= scenario.names
        assert [turn for turn, words in enumerate(scenario.turns) if not words] == sorted(scenario.later)
        steps = tuple(Step("user", words or "New.") for words in scenario.turns)
        if category == "multi_turn_miss_func":  # the others have the same functions
            Trajectory("t", Source("s", "CC0-1.0"), tools=scenario.offered(99), steps=steps).validate()


def test_functions_come_when_their_turn_comes():
    scenario = next(one for one in packaged("multi_turn_miss_func") if one.id == "multi_turn_miss_func_0")
    shown = [{tool.name for tool in scenario.offered(turn)} for turn in range(5)]
    assert ["sort" in names for names in shown] == [False, False, False, True, True]
    assert shown[3] - shown[2] == {"sort"} and "sort" in scenario.names
    assert scenario.turns[3] == "" and scenario.answers[3] == ("sort('final_report.pdf')",)
    assert scenario.ground_truth[3] == (ToolCall("sort", {"file_name": "final_report.pdf"}),)


def test_tools_say_what_they_give_back():
    tool = next(tool for tool in packaged("multi_turn_base")[0].tools if tool.name == "grep")
    assert tool.parameters["required"] == ["file_name", "pattern"] and tool.parameters["type"] == "object"
    assert "The response field has the following schema" in tool.description


def test_the_folder_of_real_records_reads_like_the_package(real_data):
    for category in CATEGORIES:
        known = {scenario.id: scenario for scenario in packaged(category)}
        found = load(category, real_data / "bfcl_v4")
        assert found and all(known[scenario.id] == scenario for scenario in found)


def test_our_own_scenarios_are_not_bfcls():
    found = practice()
    assert [scenario.category for scenario in found] == [
        name.replace("multi_turn", "practice") for name in ("multi_turn_base", *CATEGORIES[2:0:-1], CATEGORIES[3])
    ]
    said = {words for category in CATEGORIES for scenario in packaged(category) for words in scenario.turns if words}
    assert not said & {words for scenario in found for words in scenario.turns}


def test_the_classes_are_those_of_the_package():
    from bfcl_eval.constants.executable_backend_config import MULTI_TURN_FUNC_DOC_FILE_MAPPING as theirs

    assert {name: f"{file}.json" for name, file in DOCUMENTS.items()}.items() <= theirs.items()


def written(folder, row, answers=None):
    (folder / "possible_answer").mkdir(exist_ok=True)
    name = "BFCL_v4_multi_turn_base.json"
    (folder / name).write_text(json.dumps(row) + "\n")
    (folder / "possible_answer" / name).write_text(json.dumps(answers or {"id": row["id"], "ground_truth": [["ls()"]]}))
    if not (folder / "multi_turn_func_doc").exists():
        (folder / "multi_turn_func_doc").symlink_to(data_folder() / "multi_turn_func_doc")
    return folder


ROW = {
    "id": "multi_turn_base_0",
    "question": [[{"role": "user", "content": "List."}]],
    "initial_config": {},
    "involved_classes": ["GorillaFileSystem"],
}


@pytest.mark.parametrize(
    ("change", "answers", "said"),
    [
        ({"question": [[]]}, None, r"turn 0: messages of \[\], expected one of the user's"),
        ({"question": [[], []], "missed_function": {"0": ["ls"], "1": []}}, None, "answers for 1 turns, expected 2"),
        ({"missed_function": {"0": ["fly"]}, "question": [[]]}, None, "held-out function 'fly' has no document"),
        ({"involved_classes": ["Rocket"]}, None, "no class 'Rocket'; there are GorillaFileSystem"),
        ({"id": "x"}, {"id": "y", "ground_truth": []}, "x: no line in possible_answer has this id"),
    ],
)
def test_bad_data_say_where_and_what(tmp_path, change, answers, said):
    with pytest.raises(BfclError, match=said):
        load("multi_turn_base", written(tmp_path, ROW | change, answers))


@pytest.mark.parametrize("text", ["ls(", "fly()", "ls(a=open('x'))", "os.remove('x')", "ls"])
def test_answers_that_are_no_calls_say_so(tmp_path, text):
    (scenario,) = load("multi_turn_base", written(tmp_path, ROW, {"id": ROW["id"], "ground_truth": [[text]]}))
    assert isinstance(scenario, Scenario)
    with pytest.raises(BfclError, match="is no call of a known function with literals"):
        scenario.ground_truth  # noqa: B018


def test_an_unknown_category_is_named():
    with pytest.raises(BfclError, match="no category 'multi_turn_composite' of several turns"):
        load("multi_turn_composite")
