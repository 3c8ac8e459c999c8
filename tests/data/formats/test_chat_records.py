"""Records of any chat form: what stands in fields beside role and content is read, or kept and counted."""

import json
import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.convert import Raw, convert_records, converter
from xlam_lib.data.formats.chat_records import FIELDS, LISTS, TOOLS
from xlam_lib.data.formats.chats.assistants import holds_calls
from xlam_lib.data.formats.chats.unknown import EVERY_FIELD
from xlam_lib.data.formats.messages import BY_ROLE
from xlam_lib.data.sources.exchange import openai_chat, sharegpt
from xlam_lib.trajectory import Trajectory

USER = {"role": "user", "content": "Go"}
CALL = {"name": "f", "arguments": {"n": 1}}


def one(*messages: dict, **more: object) -> Trajectory:
    (trajectory,) = converter(openai_chat)({"messages": [USER, *messages], **more}, "x.json:1")
    return trajectory


def reason(*messages: dict, **more: object) -> str:
    with pytest.raises(Drop) as drop:
        one(*messages, **more)
    return str(drop.value)


# --- thoughts and calls in fields


@pytest.mark.parametrize(
    "fields",
    [
        {"actions": [{"API_name": "f", "API_params": {"n": 1}}]},
        {"actions": json.dumps([CALL])},
        {"action": CALL},
        {"action": "f", "action_input": {"n": 1}},
        {"function_calls": [{"api_name": "f", "parameters": '{"n": 1}'}]},
        {"calls": [{"tool_name": "f", "tool_args": {"n": 1}}]},
        {"tool_calls": [{"name": "f", "params": {"n": 1}}]},
        {"tool_calls": '[{"name": "f", "arguments": {"n": 1}}]'},
        {"tool_use": {"type": "tool_use", "name": "f", "input": {"n": 1}}},
        {"API_name": "f", "API_params": {"n": 1}},
        {"name": "f", "arguments": '{"n": 1}'},
        {"tool_calls": [CALL], "actions": [CALL]},
        {"content": [{"toolUse": {"toolUseId": "a", "name": "f", "input": {"n": 1}}}]},
        {"content": [{"type": "tool-call", "toolCallId": "a", "toolName": "f", "args": {"n": 1}}]},
    ],
)
def test_calls_in_any_field_are_calls(fields: dict) -> None:
    t = one({"role": "assistant", "content": "I look it up.", **fields})
    assert [(call.name, call.arguments) for call in t.steps[1].tool_calls] == [("f", {"n": 1})]
    assert "unknown_fields" not in t.extra


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"actions": [{"type": "say"}, CALL]}, "call without a name: 'actions' of message 1"),
        ({"action": "search[figs]"}, "call text can't be read: 'action' of message 1: 'search[figs]'"),
        ({"plan": [CALL]}, "calls in a field that isn't read: messages[1].plan"),
        ({"raw": {"response": {"calls": [CALL]}}}, "calls in a field that isn't read: messages[1].raw"),
        ({"output": json.dumps(CALL)}, "calls in a field that isn't read: messages[1].output"),
        ({"calls": [CALL], "actions": [{**CALL, "name": "g"}]}, "two fields with different calls"),
        ({"tool_calls": [{"name": "f", "values": {"n": 1}}]}, "call with a field that isn't read: 'tool_calls' of"),
    ],
)
def test_calls_that_are_not_read_lose_the_record_by_name(fields: dict, found: str) -> None:
    assert found in reason({"role": "assistant", "content": "I look it up.", **fields})


def test_a_tool_is_no_call() -> None:
    assert not holds_calls([{"name": "f", "description": "d", "parameters": {"n": {"type": "integer"}}}])
    assert not holds_calls({"name": "f", "parameters": {"type": "object", "properties": {}}})
    assert holds_calls({"plan": [{"function": CALL}]}) and not holds_calls("f(n=1)")


@pytest.mark.parametrize(
    "value",
    ["I need data.", ["I need data."], {"text": "I need data."}, [{"type": "thinking", "thinking": "I need data."}]],
)
@pytest.mark.parametrize("key", ["thoughts", "thought", "rationale", "reasoning_content", "thinking_blocks", "cot"])
def test_thoughts_in_any_field_are_thoughts(key: str, value: object) -> None:
    t = one({"role": "assistant", "content": "4", key: value})
    assert (t.steps[1].reasoning, t.steps[1].reasoning_origin) == ("I need data.", "native")
    assert "unknown_fields" not in t.extra


def test_thoughts_that_are_told_twice_are_one() -> None:
    told = {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "x"}]}
    t = one({"role": "assistant", "content": "4", **told})
    assert t.steps[1].reasoning == "Hm."
    assert t.extra["unknown_fields"] == {"messages[1].reasoning_details": told["reasoning_details"]}


def test_calls_without_an_answer_lose_the_record() -> None:
    asked = {"from": "gpt", "value": "I look it up.", "actions": [CALL]}
    assert "call without a result" in reason(asked, USER, {"from": "gpt", "value": "Four.", "actions": []})


# --- roles


@pytest.mark.parametrize("role", ["tool-response", "tool_response", "Tool Response", "function", "ipython", "env"])
def test_roles_of_results(role: str) -> None:
    t = one({"role": "assistant", "tool_calls": [CALL]}, {"role": role, "content": "4"})
    assert (t.steps[2].role, t.steps[2].content) == ("tool", "4")


@pytest.mark.parametrize("role", ["tool-call", "tool_call", "function_call", "function-call", "tool_calls"])
@pytest.mark.parametrize(
    "content",
    [CALL, [CALL], json.dumps(CALL), str([CALL]), "Calling tools:\n" + str([{"type": "function", "function": CALL}]),
     [{"type": "text", "text": "Calling tools:\n" + json.dumps([{"id": "a", "function": CALL}])}]],
)  # fmt: skip
def test_roles_of_calls(role: str, content: object) -> None:
    t = one(
        {"role": "assistant", "content": "I look."},
        {"role": role, "content": content},
        {"role": "tool", "content": "4"},
    )
    assert [(step.role, step.content) for step in t.steps] == [("user", "Go"), ("assistant", "I look."), ("tool", "4")]
    assert t.steps[1].tool_calls[0].arguments == {"n": 1}


def test_a_message_that_is_a_call() -> None:
    t = one({"role": "function_call", "name": "f", "arguments": {"n": 1}, "thought": "Hm."})
    assert (t.steps[1].tool_calls[0].arguments, t.steps[1].reasoning) == ({"n": 1}, "Hm.")


def test_calls_that_are_said_twice_are_one() -> None:
    call = {"id": "a", "type": "function", "function": CALL}
    t = one(
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool-call", "content": [call]},
        {"role": "tool-response", "content": "4"},
    )
    assert len(t.steps[1].tool_calls) == 1


@pytest.mark.parametrize("word", BY_ROLE)
def test_every_role_is_read_in_any_spelling(word: str) -> None:
    step = {"system": "user", "call": "assistant"}.get(BY_ROLE[word], BY_ROLE[word])
    before = [{"role": "assistant", "tool_calls": [CALL]}] if step == "tool" else []
    after = [{"role": "gpt", "content": "x"}] if step == "user" else []
    for spelt in (word, word.upper(), word.replace("_", "-"), f" {word} "):
        t = one(*before, {"role": spelt, "content": json.dumps(CALL)}, *after)
        assert step in [step.role for step in t.steps]


# --- what isn't to be learnt from


@pytest.mark.parametrize(
    "key", ["weight", "loss_weight", "loss_scale", "loss", "loss_mask", "train", "trainable", "is_trainable"]
)
@pytest.mark.parametrize("value", [0, 0.0, False, "0", "false", [0, 0]])
def test_weights_of_nothing(key: str, value: object) -> None:
    parts = [{"type": "text", "value": "a"}]
    for message in (
        {"role": "assistant", "content": "a", key: value},
        {"from": "gpt", "value": "a", key: value},
        {"role": "assistant", "content": parts, key: value},
        {"role": "assistant", "content": [{**parts[0], key: value}]},
        {"role": "function_call", "content": CALL, key: value},
    ):
        t = one(message)
        assert not t.steps[1].trainable and "unknown_fields" not in t.extra


@pytest.mark.parametrize("value", [1, 1.0, 0.5, True, "1", None])
def test_weights_of_something(value: object) -> None:
    t = one({"role": "assistant", "content": "a", "loss_weight": value})
    assert t.steps[1].trainable and "unknown_fields" not in t.extra


def test_weights_of_all_messages() -> None:
    answers = [{"role": "assistant", "content": "a"}, USER, {"role": "assistant", "content": "b"}]
    t = one(*answers, loss_mask=[0, 0, 0, 1])
    assert [step.trainable for step in t.steps] == [True, False, True, True]
    assert not any(step.trainable for step in one(*answers, train=False).steps if step.role == "assistant")
    assert all(step.trainable for step in one(*answers, loss_mask=[0, 1]).steps)
    assert all(step.trainable for step in one(*answers, loss=0.0).steps)  # of a record, that is a measurement


@pytest.mark.parametrize("label", [True, False, 1, 0, None])
def test_a_completion_to_be_avoided_teaches_nothing(label: object) -> None:
    """The label of a row for KTO belongs to the completion beside it; beside messages it may say anything."""
    answer = {"role": "assistant", "content": "5"}
    (t,) = openai_chat.convert({"prompt": [USER], "completion": [answer], "label": label}, "a:1")
    assert t.steps[-1].trainable is (label in (True, None)) and t.extra.get("label") == label
    assert one(answer, label=label).steps[-1].trainable


# --- how a record ended, and fields that nobody knows


def test_rewards_are_the_outcome() -> None:
    record = {"prompt": [USER], "completion": [{"role": "assistant", "content": "Cold.", "reward": 0.5}]}
    beside = {"reward": 0.0, "resolved": False, "answer": "cold", "info": {"task": "t"}}
    books = Accounting("openai_chat")
    (t,) = convert_records(converter(openai_chat), [Raw({**record, **beside}, "x.json", 1)], books)
    assert (t.outcome.reward, t.outcome.success, t.steps[1].reward) == (0.0, False, 0.5)
    assert t.extra == {"answer": "cold", "unknown_fields": {"info": {"task": "t"}}}
    assert books.warnings == {"unknown field 'info'": 1}


@pytest.mark.parametrize("key", ["success", "resolved", "solved", "passed", "correct", "is_correct"])
def test_success_by_any_name(key: str) -> None:
    assert one({"role": "assistant", "content": "x"}, **{key: True}).outcome.success is True
    t = one({"role": "assistant", "content": "x"}, **{key: "partly"})
    assert (t.outcome.success, t.extra[key]) == (None, "partly")


def test_contradictions_are_no_outcome() -> None:
    t = one({"role": "assistant", "content": "x"}, success=True, resolved=False, reward=True, score=0.5)
    assert (t.outcome.success, t.outcome.reward) == (None, None)
    assert {key: t.extra[key] for key in ("success", "resolved", "reward", "score")} == {
        "success": True, "resolved": False, "reward": True, "score": 0.5
    }  # fmt: skip


def test_unknown_fields_are_kept_by_their_place() -> None:
    text = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    t = one(
        {"role": "assistant", "content": [text], "id": "msg_1", "audio": None},
        {"role": "user", "content": "y", "name": "Bo", "from": "chat"},
        {"role": "assistant", "content": "z"},
        conversations=[{"from": "human", "value": "Hi"}],
        uuid="u",
        id=7,
    )
    assert t.extra["unknown_fields"] == {
        "messages[1].content[0].cache_control": {"type": "ephemeral"},
        "messages[1].id": "msg_1",
        "messages[2].name": "Bo",
        "messages[2].from": "chat",
        "conversations": [{"from": "human", "value": "Hi"}],
        "uuid": "u",
    }


def test_tools_in_a_message() -> None:
    tool = {"name": "f", "description": "d", "parameters": {"n": "int"}, "returns": "a number"}
    told = {"role": "system", "content": "Be kind.", "functions": json.dumps([tool])}
    (t,) = openai_chat.convert({"messages": [told, USER, {"role": "assistant", "content": "x"}]}, "")
    assert (t.tools[0].description, t.extra["unknown_types"]) == ("d", ["f.returns: a number"])
    t = one({"role": "assistant", "content": "x"}, {**told, "functions": [tool]}, tools=[{"name": "g"}])
    assert [tool.name for tool in t.tools] == ["g"]
    assert t.extra["unknown_fields"] == {"messages[2].functions": [tool]}


# --- whatever stands where: each string is found again, or the record is lost

MARK = re.compile(r"zq\d+qz")
BESIDE = [*sorted(EVERY_FIELD - {"role", "content", "from", "value", *TOOLS}), "seed", "id", "meta_data"]
OF_RECORD = sorted({path for path in FIELDS if "[" not in path} - {*TOOLS, *LISTS}) + ["seed"]
NUMBERED = re.compile(r"(tool_)?(call|use)_?ids?|(tool)?(Use|Call)Id|function_call_id|id")  # calls get ids of our own


def _word(words: Iterator[int]) -> str:
    return f"zq{next(words)}qz"


def _value(rng: random.Random, words: Iterator[int], depth: int = 0) -> object:
    word = lambda: _word(words)  # noqa: E731
    made = [
        lambda: word(),
        lambda: f"{word()} and\n{word()}",
        lambda: rng.choice([None, True, False, 0, 1, "", [], {}]),
        lambda: {"name": word(), "arguments": {word(): word()}},
        lambda: [{"name": word(), "arguments": json.dumps({word(): word()})}],
        lambda: {"type": rng.choice(["text", "thinking", "tool_result"]), "text": word(), "sign": word()},
        lambda: [{"type": rng.choice(["text", "thinking", "tool-call"]), "text": word()} for _ in range(2)],
        lambda: f"{word()} <tool_response>{word()}</tool_response> {word()}",
        lambda: f'{word()} <tool_call>{{"name": "{word()}", "arguments": {{}}}}</tool_call> {word()}',
        lambda: [_value(rng, words, depth + 1)] if depth < 2 else word(),
        lambda: {word(): _value(rng, words, depth + 1)} if depth < 2 else word(),
    ]
    return rng.choice([made[0], made[1], *made])()


def _record(rng: random.Random) -> dict:
    words = iter(range(100_000))

    def message(role: str, **more: object) -> dict:
        content = _value(rng, words) if rng.random() < 0.3 else _word(words)
        beside = {key: _value(rng, words) for key in rng.sample(BESIDE, rng.choice([0, 1, 1, 2]))}
        return {"role": role, "content": content, **beside, **more}

    messages = [{"role": "user", "content": _word(words)}]
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.5:
            raw_id, name = _word(words), _word(words)
            messages.append(message("assistant", tool_calls=[{"id": raw_id, "function": {"name": name}}]))
            messages.append(message(rng.choice(["tool", "observation"]), tool_call_id=raw_id))
        else:
            messages.append(message(rng.choice(["user", "assistant", "system", "tool_call", "gpt", "tool"])))
    beside = {key: _value(rng, words) for key in rng.sample(OF_RECORD, rng.choice([0, 0, 1]))}
    return {"messages": [*messages, message("assistant")], **beside}


def _renumbered(value: object, key: str = "") -> set[str]:
    if isinstance(value, dict):
        return {word for name, item in value.items() for word in _renumbered(item, name)}
    if isinstance(value, list):
        return {word for item in value for word in _renumbered(item, key)}
    return set(MARK.findall(value)) if isinstance(value, str) and NUMBERED.fullmatch(key) else set()


@given(st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_no_string_is_lost_in_silence(seed: int) -> None:
    record = _record(random.Random(seed))
    raw = json.dumps(record)
    try:
        (t,) = converter(random.Random(seed).choice([openai_chat, sharegpt]))(record, "x:1")
    except Drop as drop:
        assert drop.reason
        return
    assert json.dumps(record) == raw
    made = json.dumps(t.to_dict())
    assert [word for word in MARK.findall(raw) if word not in made and word not in _renumbered(record)] == []
