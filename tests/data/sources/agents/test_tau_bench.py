"""Episodes of tau-bench: policy, tools, results, ends and rewards."""

import json

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.agents.tau_bench import convert
from xlam_lib.data.sources.catalogs.tau_bench_tools import DOMAINS
from xlam_lib.trajectory import Trajectory

WHERE = "/data/gpt-4o-airline.json:1"


def call(name: str, arguments: dict | str, id: str = "c") -> dict:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": id, "type": "function", "function": {"name": name, "arguments": text}}


def episode(*messages: dict, policy: str = "# Airline Agent Policy\n\nBe kind.", **changes: object) -> dict:
    traj = [{"role": "system", "content": policy}, {"role": "user", "content": "Hello"}, *messages]
    task = {"user_id": "u", "instruction": "You are u.", "actions": [{"name": "think", "kwargs": {}}], "outputs": []}
    info = {"task": task, "reward_info": {"reward": 1.0, "info": {"r_actions": 1.0}, "actions": []}}
    return {"task_id": 3, "trial": 2, "reward": 1.0, "info": info, "traj": traj, **changes}


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, WHERE)
    trajectory.validate("warning")
    return trajectory


STOP = {"role": "user", "content": "Thanks! ###STOP###"}
HANDOVER = [
    {"role": "assistant", "content": None, "tool_calls": [call("transfer_to_human_agents", {"summary": "s"})]},
    {"role": "tool", "tool_call_id": "c", "name": "transfer_to_human_agents", "content": "Transfer successful"},
]


def test_provenance_policy_and_goal() -> None:
    t = one(episode(STOP))
    assert (t.trajectory_id, t.source.raw_id) == ("tau_bench/gpt-4o-airline/3/2", "gpt-4o-airline/3/2")
    assert (t.task.instruction, t.task.task_id) == ("# Airline Agent Policy\n\nBe kind.", "airline/3")
    assert t.extra["user_goal"] == "You are u."
    assert t.extra["gold_actions"] == [{"name": "think", "kwargs": {}}]
    assert t.outcome.checks == {"r_actions": 1.0}
    assert not any(step.role == "system" for step in t.steps)


def test_the_stop_mark_is_cut() -> None:
    t = one(episode(STOP))
    assert (t.steps[-1].content, t.extra["stop"]) == ("Thanks!", "Thanks! ###STOP###")
    assert t.outcome.termination == "user_stop"
    t = one(episode({"role": "user", "content": "###STOP###"}))
    assert (len(t.steps), t.outcome.termination) == (1, "user_stop")


@pytest.mark.parametrize(
    ("reward", "success", "termination"),
    [(1.0, True, "success"), (0.0, False, "failure"), (0, False, "failure"), (None, None, "failure")],
)
def test_handing_over_ends_by_the_reward(reward: float | None, success: bool | None, termination: str) -> None:
    outcome = one(episode(*HANDOVER, reward=reward)).outcome
    assert (outcome.success, outcome.termination) == (success, termination)


def test_other_ends_are_the_turn_limit() -> None:
    assert one(episode({"role": "assistant", "content": "Wait."})).outcome.termination == "max_steps"


def test_repeated_ids_and_parallel_calls() -> None:
    both = [call("think", {"thought": "a"}, "same"), call("think", {"thought": "b"}, "same")]
    results = [{"role": "tool", "tool_call_id": "same", "name": "think", "content": ""}] * 2
    t = one(episode({"role": "assistant", "content": "So.", "tool_calls": both}, *results, STOP))
    assert [c.id for c in t.steps[1].tool_calls] == ["call_0", "call_1"] == [s.tool_call_id for s in t.steps[2:4]]
    assert t.steps[1].content == "So."
    assert t.extra["raw_call_ids"] == ["same", "same"]


def test_errors_are_marked() -> None:
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call("calculate", {"expression": "1/0"})]},
        {"role": "tool", "tool_call_id": "c", "name": "calculate", "content": "Error: division by zero"},
    ]
    assert one(episode(*messages)).steps[2].is_error


def test_tools_are_those_of_the_domain() -> None:
    airline, retail = DOMAINS
    assert one(episode(STOP)).tools == airline.tools
    assert one(episode(STOP, policy="# Retail agent policy\n...")).tools == retail.tools
    asked = [{"role": "assistant", "content": None, "tool_calls": [call("get_order_details", {"order_id": "#W1"})]}]
    assert one(episode(*asked, policy="Serve the customer.")).tools == retail.tools
    assert one(episode(STOP)).extra["tools_from"] == "domain airline"


def test_unknown_tools_are_inferred_and_named() -> None:
    steps = [
        {"role": "assistant", "content": None, "tool_calls": [call("reboot", {"device": "router", "wait": 3})]},
        {"role": "tool", "tool_call_id": "c", "name": "reboot", "content": "done"},
        STOP,
    ]
    t = one(episode(*steps, policy="# Telecom policy"))
    assert [tool.name for tool in t.tools] == ["reboot"]
    assert t.tools[0].parameters["properties"] == {"device": {"type": "string"}, "wait": {"type": "integer"}}
    assert (t.extra["inferred_tools"], t.extra["tools_from"]) == (["reboot"], "calls")
    assert [tool.name for tool in one(episode(*steps)).tools][-1] == "reboot"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (episode(STOP, traj=[], info={"error": "timeout"}), "infrastructure error, no messages"),
        (episode(STOP, task_id="three"), "'task_id' is not a whole number"),
        (episode({"role": "critic", "content": "bad"}), "message of an unknown role"),
        (episode({"role": "assistant", "content": ["part"]}), "message content is not text"),
        (episode({"role": "assistant", "content": None}), "empty assistant turn"),
        (episode({"role": "assistant", "content": None, "tool_calls": [call("think", "{")]}), "arguments are not JSON"),
        (
            episode(
                {"role": "assistant", "content": None, "tool_calls": [call("fly", {})]},
                {"role": "tool", "tool_call_id": "c", "name": "fly", "content": "Unknown action fly"},
            ),
            "call of an undeclared tool",
        ),
        ({"messages_display": "user: hi"}, "a text transcript, which leaves out the calls: no trajectory to convert"),
        ({"task_id": 0, "n_messages": 32, "reward": 0.0}, "a score without messages: no trajectory to convert"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, WHERE)
    assert drop.value.reason == reason


def test_declared_schemas_fit_the_samples() -> None:
    records = json.loads((samples_dir("tau_bench") / "raw" / "gpt-4o-airline.json").read_text(encoding="utf-8"))
    assert [convert(record, WHERE)[0].validate("error") for record in records] == [[], [], []]
