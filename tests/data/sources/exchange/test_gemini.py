"""Contents of the Gemini API in both spellings, and its schemas."""

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.convert import converter
from xlam_lib.data.sources.exchange import gemini
from xlam_lib.trajectory import Trajectory

USER = {"role": "user", "parts": [{"text": "Go"}]}


def model(*parts: dict) -> dict:
    return {"role": "model", "parts": list(parts)}


def one(*contents: dict, **more: object) -> Trajectory:
    (trajectory,) = converter(gemini)({"contents": [USER, *contents], **more}, "x.jsonl:1")
    trajectory.validate("warning")
    return trajectory


def test_pieces_of_a_text_are_one_text() -> None:
    assert one(model({"text": "Go"}, {"text": "ne."})).steps[1].content == "Gone."


def test_results_by_id_else_by_name() -> None:
    calls = model({"functionCall": {"name": "f", "id": "1"}}, {"functionCall": {"name": "f", "id": "2"}})
    results = [{"functionResponse": {"name": "f", "id": id, "response": {"n": int(id)}}} for id in ("2", "1")]
    t = one(calls, {"role": "user", "parts": results})
    assert [(step.tool_call_id, step.content) for step in t.steps[2:]] == [
        ("call_1", '{"n": 2}'),
        ("call_0", '{"n": 1}'),
    ]
    answers = [{"function_response": {"name": name, "response": "ok"}} for name in ("g", "f")]
    t = one(model({"functionCall": {"name": "f"}}, {"functionCall": {"name": "g"}}), {"role": "tool", "parts": answers})
    assert [(step.name, step.content) for step in t.steps[2:]] == [("g", "ok"), ("f", "ok")]


def test_text_behind_a_result_is_the_users() -> None:
    parts = [{"functionResponse": {"name": "f", "response": {"error": "down"}}}, {"text": "And now?"}]
    t = one(
        model({"functionCall": {"name": "f", "args": {}}}), {"role": "user", "parts": parts}, model({"text": "No."})
    )
    assert [(step.role, step.is_error) for step in t.steps[2:4]] == [("tool", True), ("user", False)]


def test_schemas_become_json_schema() -> None:
    parameters = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "maxItems": "3"},
            "any": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}]},
        },
        "propertyOrdering": ["type", "list"],
    }
    t = one(model({"text": "x"}), tools=[{"functionDeclarations": [{"name": "f", "parameters": parameters}]}])
    assert t.tools[0].parameters == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"]},
            "list": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            "any": {"anyOf": [{"type": "number"}, {"type": "boolean"}]},
        },
    }


def test_the_answer_among_the_candidates() -> None:
    candidates = [{"content": model({"text": word}), "finishReason": "STOP"} for word in ("One.", "Two.")]
    t = one(candidates=candidates, usageMetadata={"totalTokenCount": 3})
    assert [step.content for step in t.steps] == ["Go", "One."]
    assert t.extra == {"other_candidates": candidates[1:]}


def test_settings_are_left_out_and_other_fields_counted() -> None:
    t = one(
        model({"text": "x", "thought_signature": "s"}), generation_config={"topK": 1}, tools=[{"codeExecution": {}}]
    )
    assert t.extra == {"unknown_fields": {"tools[0].codeExecution": {}}}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "x"}, "no contents"),
        ({"contents": [USER, model({"inlineData": {"mimeType": "image/png"}})]}, "message content is not text"),
        ({"contents": [USER, model({"executableCode": {"code": "1"}})]}, "message content is not text"),
        ({"contents": [USER, {"role": "narrator", "parts": []}]}, "message of an unknown role"),
        ({"contents": [{"role": "user", "parts": [{"functionCall": {"name": "f"}}]}]}, "a call that isn't the model's"),
        ({"contents": [USER, model({"functionResponse": {"name": "f"}})]}, "the model gives a result itself"),
        ({"contents": 3}, "'contents' is not a list of objects"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        gemini.convert(record, "x.jsonl:1")
    assert drop.value.reason == reason
