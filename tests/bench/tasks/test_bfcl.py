"""BFCL: questions as our types, prompts by the codec, literals, the real folder, and data that are not as expected."""

import json

import jsonschema
import pytest

from xlam_lib.bench.tasks import bfcl
from xlam_lib.bench.tasks.bfcl import literal
from xlam_lib.codec import BRIEF_STYLE, SEED_STYLE, parse_answer, render_answer
from xlam_lib.environments.bfcl_multi_turn import package

SIZES = {
    "simple_python": 400,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
    "irrelevance": 240,
    "live_irrelevance": 884,
    "simple_java": 100,
    "simple_javascript": 50,
    "live_relevance": 16,
}


@pytest.mark.parametrize("category", bfcl.SINGLE_TURN)
def test_every_question_becomes_a_sound_trajectory_and_a_prompt(category):
    questions = bfcl.load(category)
    assert len(questions) == SIZES[category] == len({question.id for question in questions})
    for question in questions:
        assert question.asked.validate() == []
        assert [tool.name for tool in question.asked.tools] == [document["name"] for document in question.functions]
        text = bfcl.prompt(question, BRIEF_STYLE)
        assert text.startswith("[BEGIN OF TASK INSTRUCTION]\n")
        assert parse_answer(render_answer(bfcl.ground_truth(question))).problems == ()


def test_types_become_json_schema_at_every_depth():
    document = {
        "name": "f",
        "description": "d",
        "parameters": {
            "type": "dict",
            "required": ["a"],
            "properties": {
                "a": {"type": "float", "default": 1.5},
                "b": {"type": "tuple", "items": {"type": "dict", "properties": {"c": {"type": "any"}}}},
                "type": {"type": "array", "items": {"type": "integer"}},
            },
        },
    }
    schema = bfcl.tool_of(document, "q1").parameters
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "number", "default": 1.5},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {}}}},
            "type": {"type": "array", "items": {"type": "integer"}},
        },
    }


def test_an_unknown_type_is_named_with_its_place():
    document = {
        "name": "f",
        "description": "",
        "parameters": {"type": "dict", "properties": {"a": {"type": "array", "items": {"type": "set"}}}},
    }
    with pytest.raises(bfcl.BfclError, match=r"q1: f\.a\[\]: unknown type 'set', expected one of dict, float"):
        bfcl.tool_of(document, "q1")


def test_other_languages_ask_for_source_text():
    question = bfcl.load("simple_java")[22]
    tool = question.asked.tools[0]
    assert {spec["type"] for spec in tool.parameters["properties"].values()} == {"string"}
    assert "ArrayList of long as written in Java" in tool.parameters["properties"]["ids"]["description"]
    (call,) = bfcl.ground_truth(question).calls
    assert call.arguments == {"ids": "new ArrayList<Long>(Arrays.asList(101L, 202L, 303L))", "newStatus": "2"}


@pytest.mark.parametrize(
    ("value", "spec", "language", "text"),
    [
        ("System.out", {"type": "any"}, "java", "System.out"),
        (True, {"type": "boolean"}, "java", "true"),
        (42, {"type": "long"}, "java", "42L"),
        (["-v"], {"type": "Array", "items": {"type": "String"}}, "java", 'new String[]{"-v"}'),
        ([2, 7], {"type": "Array", "items": {"type": "integer"}}, "java", "new int[]{2, 7}"),
        ({"limit": 50}, {"type": "HashMap"}, "java", 'new HashMap<String, Object>() {{ put("limit", 50); }}'),
        (4, {"type": "float"}, "javascript", "4.0"),
        (["a", True], {"type": "array"}, "javascript", '["a", true]'),
        ({"x": [1]}, {"type": "dict"}, "javascript", '{"x": [1]}'),
    ],
)
def test_literals(value, spec, language, text):
    assert literal(value, spec, language) == text


def test_ground_truth_leaves_optional_arguments_out_and_looks_into_objects():
    by_id = {question.id: question for question in bfcl.load("simple_python")}
    (call,) = bfcl.ground_truth(by_id["simple_python_12"]).calls
    assert call.name == "geometry.circumference" and call.arguments == {"radius": 3}
    assert bfcl._first([{"a": [1, 2], "b": ["", 3], "c": [[4]]}]) == {"a": 1, "c": [4]}
    assert bfcl._first([[{"a": ["x"]}], [{"a": ["y"]}]]) == [{"a": "x"}]


def test_a_system_message_replaces_the_task_instruction():
    asked = [question for question in bfcl.load("live_simple") if question.asked.steps[0].role == "system"]
    assert len(asked) == 11
    text = bfcl.prompt(asked[0], SEED_STYLE)
    assert asked[0].asked.steps[0].content in text and SEED_STYLE.task_instruction not in text


def test_earlier_turns_become_history():
    asked = [question for question in bfcl.load("live_irrelevance") if len(question.asked.steps) > 10]
    assert "[BEGIN OF HISTORY STEPS]" in bfcl.prompt(asked[0])


def test_the_folder_of_real_records_reads_like_the_package(real_data):
    for category in bfcl.SINGLE_TURN:
        packaged = {question.id: question for question in bfcl.load(category)}
        found = bfcl.load(category, real_data / "bfcl_v4")
        assert found and all(packaged[question.id] == question for question in found)


def write(folder, name, *rows):
    (folder / "possible_answer").mkdir(exist_ok=True)
    (folder / name).write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))


QUESTION = {
    "id": "multiple_0",
    "question": [[{"role": "user", "content": "Add 1 and 2"}]],
    "function": [{"name": "add", "description": "", "parameters": {"type": "dict", "properties": {}}}],
}
ANSWER = {"id": "multiple_0", "ground_truth": [{"add": {}}]}


def test_bad_data_names_file_and_line(tmp_path):
    questions, answers = "BFCL_v4_multiple.json", "possible_answer/BFCL_v4_multiple.json"
    with pytest.raises(bfcl.BfclError, match="BFCL_v4_multiple.json is not there"):
        bfcl.load("multiple", tmp_path)
    write(tmp_path, answers, ANSWER)
    write(tmp_path, questions, QUESTION, json.dumps(QUESTION)[:40])
    with pytest.raises(bfcl.BfclError, match=r"BFCL_v4_multiple.json:2: not JSON .* cut off"):
        bfcl.load("multiple", tmp_path)
    write(tmp_path, questions, {"id": "multiple_0", "question": []})
    with pytest.raises(bfcl.BfclError, match=r"json:1: no function in the line"):
        bfcl.load("multiple", tmp_path)
    write(tmp_path, questions, QUESTION | {"id": "multiple_1"})
    with pytest.raises(bfcl.BfclError, match="multiple_1: no line in possible_answer has this id"):
        bfcl.load("multiple", tmp_path)
    write(tmp_path, questions, QUESTION | {"question": [[], []]})
    with pytest.raises(bfcl.BfclError, match="2 turns"):
        bfcl.load("multiple", tmp_path)
    write(tmp_path, questions, QUESTION)
    assert bfcl.ground_truth(bfcl.load("multiple", tmp_path)[0]).calls[0].name == "add"


def test_an_unknown_category_and_a_missing_package(monkeypatch):
    with pytest.raises(bfcl.BfclError, match="no category 'rest'; there are simple_python, multiple"):
        bfcl.load("rest")
    monkeypatch.setattr(package, "PACKAGE", "no_such_package")
    with pytest.raises(bfcl.BfclError, match="the package no_such_package is not installed"):
        bfcl.load("multiple")
