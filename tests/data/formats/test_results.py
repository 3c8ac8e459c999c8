"""Results of tools: the calls that they answer, errors, tags, and what users tell."""

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.chat import RawCall, StepBuilder
from xlam_lib.data.formats.chats.results import blocks_of, failure_of, ids_of
from xlam_lib.data.sources.exchange.openai_chat import convert
from xlam_lib.trajectory import Step, Trajectory

NAMES = ("ls", "pwd", "date")


def one(*messages: dict) -> Trajectory:
    (trajectory,) = convert({"messages": list(messages)}, "x.json:1")
    return trajectory


def chat(*after: dict, calls: int = 2, **more: object) -> Trajectory:
    """A question, so many calls with the ids "a", "b", ... and what comes after them."""
    made = [{"id": "abc"[at], "function": {"name": NAMES[at], "arguments": "{}"}} for at in range(calls)]
    return one({"role": "user", "content": "Go"}, {"role": "assistant", "content": None, "tool_calls": made}, *after)


def results(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(step.name, step.content) for step in trajectory.steps if step.role == "tool"]


def last(trajectory: Trajectory) -> Step:
    return [step for step in trajectory.steps if step.role == "tool"][-1]


DONE = {"role": "assistant", "content": "Done"}


@pytest.mark.parametrize("key", ["tool_call_id", "call_id", "tool_use_id", "toolUseId", "toolCallId", "id"])
def test_results_name_their_calls_in_any_field(key: str) -> None:
    t = chat({"role": "tool", key: "b", "content": "B"}, {"role": "tool", key: "a", "content": "A"}, DONE)
    assert results(t) == [("pwd", "B"), ("ls", "A")]
    assert "unknown_fields" not in t.extra


@pytest.mark.parametrize("key", ["tool_call_ids", "tool_call_id", "call_ids"])
def test_results_name_their_calls_in_lists(key: str) -> None:
    t = chat({"role": "tool", key: ["b"], "content": "B"}, {"role": "tool", key: ["a"], "content": "A"}, DONE)
    assert results(t) == [("pwd", "B"), ("ls", "A")]


def test_one_result_of_several_named_calls() -> None:
    both = {"role": "tool", "tool_call_ids": ["c", "a"], "content": "C and A"}
    t = chat(both, {"role": "tool", "tool_call_ids": ["b"], "content": "B"}, DONE, calls=3)
    assert results(t) == [("date", "C and A"), ("ls", ""), ("pwd", "B")]
    assert t.extra["joint_results"] == [2]
    t = chat({**both, "content": '["C", {"a": 1}]'}, {"role": "tool", "tool_call_id": "b", "content": "B"}, calls=3)
    assert results(t) == [("date", "C"), ("ls", '{"a": 1}'), ("pwd", "B")]


def test_ids_may_be_numbers() -> None:
    calls = [{"id": at, "function": {"name": NAMES[at], "arguments": "{}"}} for at in (0, 1)]
    answers = [{"role": "tool", "tool_call_id": at, "content": str(at)} for at in (1, 0)]
    t = one({"role": "user", "content": "Go"}, {"role": "assistant", "tool_calls": calls}, *answers)
    assert results(t) == [("pwd", "1"), ("ls", "0")]
    assert ids_of({"tool_call_id": True, "call_id": [7, "", None]}) == ("7",)


def test_a_message_id_that_is_no_call_is_kept() -> None:
    t = chat({"role": "tool", "id": "msg_1", "content": "A"}, DONE, calls=1)
    assert results(t) == [("ls", "A")]
    assert t.extra["unknown_fields"] == {"messages[2].id": "msg_1"}


@pytest.mark.parametrize("name", ["functions.ls", "default_api.ls", "mcp__files__ls", "something_else"])
def test_the_id_decides_and_another_name_is_noted(name: str) -> None:
    t = chat({"role": "tool", "tool_call_id": "a", "name": name, "content": "A"}, DONE, calls=1)
    assert results(t) == [("ls", "A")]
    assert t.extra["result_names"] == {"call_0": name}


@pytest.mark.parametrize(("call", "result"), [("f", "functions.f"), ("default_api.f", "f"), ("f", "files:f")])
def test_without_ids_a_prefix_of_the_name_does_not_matter(call: str, result: str) -> None:
    builder = StepBuilder()
    builder.assistant("", [RawCall("g", {}), RawCall(call, {})])
    builder.result("1", result)
    assert builder.steps[-1].tool_call_id == "call_1"
    with pytest.raises(Drop, match="result without a call"):
        builder.result("1", "ff")


@pytest.mark.parametrize(
    "fields",
    [
        {"error": {"type": "timeout", "message": "no answer"}},
        {"error": {"code": 504, "message": "no answer", "retry": True}},
        {"error": "no answer"},
        {"error": [{"message": "no answer"}]},
        {"status": "error", "content": "no answer"},
        {"status": "Timeout", "content": "no answer"},
        {"is_error": True, "content": "no answer"},
        {"isError": True, "content": "no answer"},
        {"error": True, "content": "no answer"},
        {"success": False, "content": "no answer"},
        {"ok": False, "content": "no answer"},
        {"content": [{"type": "tool_result", "tool_use_id": "a", "content": "no answer", "is_error": True}]},
        {"content": [{"toolResult": {"toolUseId": "a", "status": "error", "content": [{"text": "no answer"}]}}]},
    ],
)
def test_failed_results_say_so_and_why(fields: dict) -> None:
    step = last(chat({"role": "tool", "tool_call_id": "a", "content": "", **fields}, DONE, calls=1))
    assert step.is_error and "no answer" in step.content


def test_errors_stand_beside_the_content_once() -> None:
    assert last(chat({"role": "tool", "content": "half", "error": "cut"}, DONE, calls=1)).content == "half\ncut"
    assert last(chat({"role": "tool", "content": "cut off", "error": "cut"}, DONE, calls=1)).content == "cut off"


@pytest.mark.parametrize(
    "fields", [{}, {"error": None}, {"error": ""}, {"error": False}, {"status": "success"}, {"success": True}]
)
def test_results_that_did_not_fail(fields: dict) -> None:
    assert failure_of(fields) == (False, "")
    assert not last(chat({"role": "tool", "content": "4", **fields}, DONE, calls=1)).is_error


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<tool_response>\n4 C\n</tool_response>", "4 C"),
        ("<TOOL_RESPONSE>4 C</TOOL_RESPONSE>", "4 C"),
        ("<tool_result>4</tool_result>\n<tool_result>C</tool_result>", "4\nC"),
        ("noon <tool_response>4 C</tool_response> by met", "noon <tool_response>4 C</tool_response> by met"),
        ("print('<tool_response>')", "print('<tool_response>')"),
        ("<tool_response>4 C", "<tool_response>4 C"),
    ],
)
def test_tags_of_one_result(text: str, found: str) -> None:
    assert results(chat({"role": "tool", "content": text}, DONE, calls=1)) == [("ls", found)]


def test_as_many_texts_in_tags_as_calls_are_one_each() -> None:
    text = "Now:\n<tool_response>A</tool_response> then <tool_response>B</tool_response> end"
    assert results(chat({"role": "tool", "content": text}, DONE)) == [("ls", "Now:\nA\nthen"), ("pwd", "B\nend")]
    assert blocks_of("no tags, <tool_results> at most") is None


def test_parts_of_one_result_stay_together() -> None:
    parts = [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert results(chat({"role": "tool", "tool_call_id": "a", "content": parts}, calls=1)) == [("ls", "A\nB")]
    assert results(chat({"role": "tool", "content": parts}, DONE)) == [("ls", "A"), ("pwd", "B")]


@pytest.mark.parametrize("role", ["user", "human", "observation", "ipython", "function", "environment"])
def test_results_in_tags_of_any_role(role: str) -> None:
    blocks = ["<tool_response>\nA\n</tool_response>", "<tool_response>B</tool_response>"]
    for after in ([{"role": role, "content": "\n".join(blocks)}], [{"role": role, "content": each} for each in blocks]):
        t = chat(*after, DONE)
        assert results(t) == [("ls", "A"), ("pwd", "B")]
        assert [step.role for step in t.steps] == ["user", "assistant", "tool", "tool", "assistant"]


def test_what_a_user_says_around_results_is_the_users() -> None:
    t = chat({"role": "user", "content": "Here: <tool_response>A</tool_response> Go on."}, DONE, calls=1)
    assert [(step.role, step.content) for step in t.steps[2:]] == [
        ("tool", "A"),
        ("user", "Here:\nGo on."),
        ("assistant", "Done"),
    ]


def test_tags_that_answer_nothing_are_words() -> None:
    words = "What does <tool_response>x</tool_response> mean?"
    assert one({"role": "user", "content": words}, DONE).steps[0].content == words
    t = chat({"role": "tool", "content": "A"}, DONE, {"role": "user", "content": words}, DONE, calls=1)
    assert t.steps[-2].content == words


def test_results_within_an_assistants_message() -> None:
    content = [
        {"type": "text", "text": "First ls."},
        {"type": "tool-call", "toolCallId": "a", "toolName": "ls", "input": {}},
        {"type": "tool-result", "toolCallId": "a", "toolName": "ls", "output": "A"},
        {"type": "text", "text": "It is A."},
    ]
    t = one({"role": "user", "content": "Go"}, {"role": "assistant", "content": content})
    assert [(step.role, step.content) for step in t.steps[1:]] == [
        ("assistant", "First ls."),
        ("tool", "A"),
        ("assistant", "It is A."),
    ]
