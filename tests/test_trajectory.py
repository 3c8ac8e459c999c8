"""The unified format: what is written reads back equal, and every fault is named with its trajectory and step."""

import dataclasses
import json
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
from floor_strategies import trajectories
from hypothesis import given, settings

from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Outcome, Rating, Source, Step, Task, Tool, ToolCall, Trajectory, read_jsonl, write_jsonl

WEATHER = Tool(
    "weather",
    "Weather of a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
CALL = ToolCall("weather", {"city": "Oslo"}, "call_0")
STEPS = (
    Step("user", "Weather in Oslo?"),
    Step("assistant", reasoning="Look it up.", tool_calls=(CALL,), reward=0.5, reasoning_origin="generated"),
    Step("tool", '{"celsius": 4}', tool_call_id="call_0", name="weather"),
    Step("assistant", "Four degrees."),
)
GOOD = Trajectory(
    "demo-1",
    Source("demo", "CC0-1.0", raw_id="7"),
    Task("Help.", "task-1"),
    (WEATHER,),
    STEPS,
    Outcome(True, 1.0, "success", {"state": True}),
    (Rating("format", "rule", 5.0, "fine"),),
    "train",
    ("multi",),
    {"n": [1]},
)


def with_steps(*steps: Step) -> Trajectory:
    return replace(GOOD, steps=steps)


def calling(call: ToolCall) -> Trajectory:
    return with_steps(STEPS[0], Step("assistant", tool_calls=(call,)))


def test_records_are_made_as_dataclasses_make_them() -> None:
    by_name = Step(role="user", content="Hi", reward=1.0)
    assert by_name == Step("user", "Hi", reward=1.0) == dataclasses.replace(Step("user", reward=1.0), content="Hi")
    assert repr(Tool("f")) == "Tool(name='f', description='', parameters={'type': 'object', 'properties': {}})"
    assert Tool("f").parameters is not Tool("f").parameters and Tool("f", parameters={}).parameters == {}
    assert pickle.loads(pickle.dumps(by_name)) == by_name and hash(by_name) == hash(dataclasses.replace(by_name))
    with pytest.raises(AttributeError):
        by_name.content = "No"
    for wrong in ((), ("user", "Hi", "", (), "", "", False, True, None, "none", "too many")):
        with pytest.raises(TypeError):
            Step(*wrong)


def test_a_good_trajectory_is_sound_and_reads_back_equal():
    assert GOOD.validate() == []
    assert Trajectory.from_dict(json.loads(json.dumps(GOOD.to_dict()))) == GOOD
    assert list(GOOD.to_dict())[0] == "schema_version"


def test_defaults_are_left_out():
    assert STEPS[0].to_dict() == {"role": "user", "content": "Weather in Oslo?"}


@given(trajectories())
@settings(deadline=None)
def test_any_trajectory_reads_back_equal(trajectory):
    trajectory.validate("warning")
    assert Trajectory.from_dict(json.loads(json.dumps(trajectory.to_dict()))) == trajectory


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "trajectory 'demo-1': unknown key 'colour'"),
        ({"schema_version": "0.9"}, "trajectory 'demo-1': schema_version is '0.9'"),
        ({"source": {"name": "demo"}}, "trajectory 'demo-1', source: key 'license' is missing"),
        ({"source": None}, "trajectory 'demo-1', source: expected an object"),
        ({"split": 3}, "trajectory 'demo-1': 'split' is int 3, expected str"),
        ({"steps": {}}, "trajectory 'demo-1': 'steps' is dict {}, expected list"),
        ({"tags": [1]}, "trajectory 'demo-1': 'tag 0' is int 1, expected str"),
        (
            {"steps": [{"role": "user", "content": "Hi"}, {"role": "robot"}]},
            "trajectory 'demo-1', step 1: 'role' is str 'robot', expected one of system, user",
        ),
        (
            {"steps": [{"role": "user", "trainable": 1}]},
            "trajectory 'demo-1', step 0: 'trainable' is int 1, expected bool",
        ),
        (
            {"steps": [{"role": "user", "reward": True}]},
            "trajectory 'demo-1', step 0: 'reward' is bool True, expected float",
        ),
        (
            {"steps": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{}"}]}]},
            "trajectory 'demo-1', step 0, tool_call 0: 'arguments' is str '{}', expected dict",
        ),
    ],
)
def test_reading_is_strict_and_says_where(change, message):
    with pytest.raises(TrajectoryError) as error:
        Trajectory.from_dict(GOOD.to_dict() | change)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("trajectory", "message"),
    [
        (with_steps(), "has no user step"),
        (with_steps(STEPS[0], Step("system", "Late.")), "step 1: a system step may only come first"),
        (with_steps(*STEPS[:2], STEPS[2], Step("system", "Late.")), "step 3: a system step may only come first"),
        (with_steps(STEPS[3], STEPS[0]), "step 0: the first step after the system step must be the user's"),
        (with_steps(Step("user")), "step 0: a user step without content"),
        (
            with_steps(STEPS[0], Step("assistant")),
            "step 1: an assistant step without content, reasoning and tool_calls",
        ),
        (with_steps(Step("user", "Hi", reasoning="Hm")), "step 0: 'reasoning' is set on a user step"),
        (with_steps(*STEPS[:2], STEPS[3]), "step 2: the next turn begins before call 'call_0' was answered"),
        (with_steps(*STEPS[:3], STEPS[2]), "step 3: answers 'call_0', which is no open call"),
        (
            with_steps(*STEPS[:2], replace(STEPS[2], name="else")),
            "step 2: is named 'else' but answers a call of 'weather'",
        ),
        (with_steps(*STEPS[:3], STEPS[1]), "step 3: call id 'call_0' must be unique"),
        (calling(replace(CALL, id="")), "step 1: call id '' must be unique in the trajectory and not empty"),
        (calling(replace(CALL, name="wether")), "step 1: calls 'wether', but the tools are: weather"),
        (calling(replace(CALL, arguments={})), "step 1: weather: 'city' is a required property"),
        (calling(replace(CALL, arguments={"city": 3})), "step 1: weather: ['city']: 3 is not of type 'string'"),
        (calling(replace(CALL, arguments={"city": "Oslo", "town": 1})), "step 1: weather: unknown argument 'town'"),
        (calling(replace(CALL, arguments={"city": float("nan")})), "cannot be written as JSON"),
        (calling(replace(CALL, arguments={"city": "\ud800"})), "cannot be written as JSON"),
        (calling(replace(CALL, arguments={1: "Oslo"})), "reads back differently"),
        (replace(GOOD, tags=["multi"]), "reads back differently"),
        (replace(GOOD, tools=(WEATHER, WEATHER)), "tool 1 ('weather'): tool names must be unique"),
        (
            replace(GOOD, tools=(replace(WEATHER, parameters={"type": "dict"}),)),
            "tool 0 ('weather'): parameters are not JSON Schema",
        ),
        (
            replace(GOOD, tools=(replace(WEATHER, parameters={}),)),
            'tool 0 (\'weather\'): parameters must have "type": "object"',
        ),
        (
            replace(GOOD, outcome=Outcome(reward=0.0, termination="infra_error")),
            "outcome: an infrastructure error carries a reward",
        ),
        (replace(GOOD, quality=(Rating("r", "rule", 9.0),)), "quality: score 9.0 of 'r' is not within 1..5"),
    ],
)
def test_faults_are_named(trajectory, message):
    with pytest.raises(TrajectoryError) as error:
        trajectory.validate()
    assert str(error.value).startswith("trajectory 'demo-1'")
    assert message in str(error.value)


def test_arguments_may_be_warnings():
    bad = calling(replace(CALL, arguments={"days": 1.5}))
    assert bad.validate("warning") == [
        "trajectory 'demo-1', step 1: weather: 'city' is a required property",
        "trajectory 'demo-1', step 1: weather: ['days']: 1.5 is not of type 'integer'",
    ]
    with pytest.raises(ValueError, match="argument_level is 'silent'"):
        bad.validate("silent")


def test_a_schema_that_cannot_be_applied_is_a_problem_not_a_crash():
    broken = replace(WEATHER, parameters={"type": "object", "properties": {"city": {"$ref": "#/nowhere"}}})
    warnings = replace(GOOD, tools=(broken,)).validate("warning")
    assert "its schema cannot be applied" in warnings[0]


def test_open_calls_are_fine_at_the_end():
    assert with_steps(*STEPS[:2]).validate() == []


def test_toolset_id_ignores_order_but_nothing_else():
    other = Tool("now")
    assert replace(GOOD, tools=(WEATHER, other)).toolset_id == replace(GOOD, tools=(other, WEATHER)).toolset_id
    assert GOOD.toolset_id != replace(GOOD, tools=(replace(WEATHER, description="Else"),)).toolset_id


def test_files_read_back_equal(tmp_path):
    other = replace(GOOD, trajectory_id="demo-2", steps=(Step("user", "line\u2028separator\x85 ü 🦙"),))
    assert write_jsonl(tmp_path / "new" / "t.jsonl", [GOOD, other]) == 2
    assert list(read_jsonl(tmp_path / "new" / "t.jsonl")) == [GOOD, other]


@pytest.mark.parametrize(
    "line", [b'{"trajectory_id": "x", "st', b"hello", b"", b"\xff", b'{"extra": NaN}', b"[" * 100_000, b"3"]
)
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "t.jsonl"
    write_jsonl(path, [GOOD])
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(TrajectoryError) as error:
        list(read_jsonl(path))
    assert str(error.value).startswith(f"{path}:2: ")


def test_writing_fails_whole(tmp_path):
    path = tmp_path / "t.jsonl"
    write_jsonl(path, [GOOD])
    with pytest.raises(TrajectoryError, match="trajectory 'demo-1': cannot be JSON"):
        write_jsonl(path, [GOOD, replace(GOOD, extra={"x": float("inf")})])
    assert list(read_jsonl(path)) == [GOOD]
    assert [file.name for file in tmp_path.iterdir()] == ["t.jsonl"]


def test_the_card_shows_everything_and_escapes_it():
    evil = Step("user", "<script>alert(1)</script>" + "x" * 1000)
    html = replace(GOOD, steps=(evil, *STEPS[1:]), trajectory_id="<b>")._repr_html_()
    assert "<script>" not in html and "<b><b>" not in html and "&lt;script&gt;" in html
    for shown in (
        "weather(city=&quot;Oslo&quot;)",
        "Look it up.",
        "Four degrees.",
        "reward 0.5",
        "format: 5/5",
        "CC0-1.0",
        "<details>",
        "1,025 characters",
    ):
        assert shown in html


def test_the_ground_floor_is_light():
    code = (
        "import sys, xlam_lib.codec, xlam_lib.views, xlam_lib.chat_template; "
        "sys.exit(', '.join({'torch', 'vllm', 'transformers', 'jsonschema'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
