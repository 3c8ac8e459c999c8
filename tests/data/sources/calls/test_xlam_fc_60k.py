"""Rows of xlam-function-calling-60k, native and masked."""

import json

import pytest

from xlam_lib.codec import parse_answer, prompts_of
from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.calls.xlam_fc_60k import NO_CALL, convert
from xlam_lib.trajectory import Trajectory

RAW = samples_dir("xlam_fc_60k") / "raw"


def row(**changes: object) -> dict:
    tools = [
        {
            "name": "area",
            "description": "Area of a rectangle.",
            "parameters": {
                "width": {"type": "float", "description": "Width."},
                "height": {"type": "float", "description": "Height.", "default": 1},
                "unit": {"type": "str, optional", "description": "Unit.", "default": "m"},
                "key": {"type": "str", "description": "Key.", "default": ""},
                "tags": {"type": "List[str], optional", "description": "Tags."},
            },
        }
    ]
    answers = [{"name": "area", "arguments": {"width": 2.5, "key": "k"}}]
    base = {"id": 7, "query": "How large is 2.5 by 1?", "answers": json.dumps(answers), "tools": json.dumps(tools)}
    return {**base, **changes}


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, "rows.json:1")
    trajectory.validate("warning")
    return trajectory


def test_types_defaults_and_required() -> None:
    schema = one(row()).tools[0].parameters
    assert schema["properties"]["tags"] == {"type": "array", "items": {"type": "string"}, "description": "Tags."}
    assert schema["properties"]["unit"] == {"type": "string", "description": "Unit.", "default": "m"}
    assert schema["properties"]["key"]["default"] == ""
    assert schema["required"] == ["width", "key"]


def test_a_keyword_that_json_schema_refuses_costs_no_record() -> None:
    odd = {"type": "str", "examples": "a, b", "enum": "x|y", "minLength": "1", "description": "Odd."}
    nested = {"type": "dict", "properties": {"n": {"type": "int", "minimum": "0"}}}
    tools = [*json.loads(row()["tools"]), {"name": "other", "description": "", "parameters": {"a": odd, "b": nested}}]
    t = one(row(tools=json.dumps(tools)))
    properties = t.tools[1].parameters["properties"]
    assert properties["a"] == {"type": "string", "description": "Odd."}
    assert properties["b"]["properties"] == {"n": {"type": "integer"}}
    assert t.extra["unknown_types"] == ["other.a.examples: a, b", "other.a.enum: x|y", "other.a.minLength: 1"]
    whole = {"type": "object", "properties": {"a": {"type": "string", "examples": "a, b"}}}
    t = one(row(tools=json.dumps([*tools[:1], {"name": "other", "description": "", "parameters": whole}])))
    assert t.tools[1].parameters["properties"] == {"a": {"type": "string"}}


def test_the_texts_of_the_types_are_kept() -> None:
    assert one(row()).extra["python_types"]["area"]["tags"] == "List[str], optional"


def test_one_row_is_one_question_and_one_answer() -> None:
    t = one(row())
    assert (t.trajectory_id, t.source.raw_id, t.source.license) == ("xlam_fc_60k/7", "7", "CC-BY-4.0")
    assert t.tags == ("single",)
    assert [step.role for step in t.steps] == ["user", "assistant"]
    assert t.steps[1].tool_calls[0].arguments == {"width": 2.5, "key": "k"}
    assert t.validate("error") == []


def test_several_calls_are_one_parallel_turn() -> None:
    answers = [{"name": "area", "arguments": {"width": w, "key": ""}} for w in (1.0, 2.0)]
    t = one(row(answers=json.dumps(answers)))
    assert [call.id for call in t.steps[1].tool_calls] == ["call_0", "call_1"]
    assert t.tags == ("parallel",)


def test_no_call_is_a_marked_thought() -> None:
    t = one(row(answers="[]"))
    assert (t.steps[1].reasoning, t.steps[1].reasoning_origin, t.tags) == (NO_CALL, "generated", ("no_call",))


def test_lists_instead_of_json_text_are_fine() -> None:
    record = row()
    decoded = {**record, "tools": json.loads(record["tools"]), "answers": json.loads(record["answers"])}
    assert one(decoded) == one(record)


def test_json_schema_instead_of_types_is_fine() -> None:
    schema = {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}
    t = one(row(tools=[{"name": "area", "parameters": schema}], answers=[]))
    assert t.tools[0].parameters == schema


def test_a_parameter_may_be_called_type() -> None:
    tools = [{"name": "area", "parameters": {"type": {"type": "str", "description": "Kind."}}}]
    t = one(row(tools=json.dumps(tools), answers='[{"name": "area", "arguments": {"type": "beta"}}]'))
    assert t.tools[0].parameters["required"] == ["type"]


def test_wrong_types_warn_and_stay() -> None:
    (t,) = convert(row(answers='[{"name": "area", "arguments": {"width": "wide", "key": ""}}]'), "rows.json:1")
    assert t.steps[1].tool_calls[0].arguments["width"] == "wide"
    (warning,) = t.validate("warning")
    assert warning == "trajectory 'xlam_fc_60k/7', step 1: area: ['width']: 'wide' is not of type 'number'"


def test_types_that_are_not_understood_allow_anything() -> None:
    tools = [{"name": "area", "parameters": {"shape": {"type": "Polygon"}}}]
    t = one(row(tools=json.dumps(tools), answers='[{"name": "area", "arguments": {"shape": [1, 2]}}]'))
    assert t.validate("error") == []
    assert t.extra["unknown_types"] == ["area.shape: Polygon"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"query": "  "}, "empty query"),
        ({"query": None}, "'query' is not text"),
        ({"tools": "[{"}, "'tools' is not JSON"),
        ({"tools": "{}"}, "'tools' is not a list of objects"),
        ({"tools": '["area"]'}, "'tools' is not a list of objects"),
        ({"tools": '[{"name": "area", "parameters": {"x": "int"}}]'}, "a parameter is not an object"),
        ({"tools": '[{"name": "area"}, {"name": "area", "description": "other"}]'}, "two different tools of one name"),
        ({"tools": "[]"}, "call of an undeclared tool"),
        ({"answers": '[{"name": "area"}]'}, "no 'arguments'"),
        ({"answers": '[{"name": "area", "arguments": "width=2"}]'}, "arguments are not JSON"),
        ({"answers": '[{"name": "volume", "arguments": {}}]'}, "call of an undeclared tool"),
        ({"answers": 3}, "'answers' is not a list"),
    ],
)
def test_drops(changes: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(row(**changes), "rows.json:1")
    assert drop.value.reason == reason


def test_masked_rows() -> None:
    masked = list(load_source("xlam_fc_60k", RAW / "hammer_masking_sft_example.json"))
    assert [t.tags[0] for t in masked] == ["no_call", "parallel", "single"]
    assert masked[0].source.license == "CC-BY-4.0 AND Apache-2.0"
    assert masked[1].steps[0].content.startswith("Fetch metadata for the TikTok users")
    assert masked[1].task.instruction.startswith("You are a tool calling assistant.")


def test_ids_of_masked_rows_depend_on_content_alone() -> None:
    path = RAW / "hammer_masking_sft_example.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    ids = [convert(record, f"elsewhere.json:{i}")[0].trajectory_id for i, record in enumerate(records)]
    assert ids == [t.trajectory_id for t in load_source("xlam_fc_60k", path)]


def test_what_the_model_learns_parses_back_to_the_answers() -> None:
    for t in load_source("xlam_fc_60k", RAW):
        ((_, _, completion),) = prompts_of(t)
        parsed = parse_answer(completion)
        assert parsed.problems == ()
        assert [(c.name, c.arguments) for c in parsed.answer.calls] == [
            (c.name, c.arguments) for c in t.steps[1].tool_calls
        ]
