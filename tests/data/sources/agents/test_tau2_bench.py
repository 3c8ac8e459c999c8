"""tau2-bench: simulations, results files taken apart, and the gold actions of tasks."""

import json
import re
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.tau2_bench import convert, unpack
from xlam_lib.trajectory import Trajectory

GREETING = {"role": "assistant", "content": "Hi! How can I help you today?", "tool_calls": None}
USER = {"role": "user", "content": "My data is gone."}


def call(name: str, arguments: dict, id: str = "c", requestor: str = "assistant") -> dict:
    return {"id": id, "name": name, "arguments": arguments, "requestor": requestor}


def asks(*calls: dict, role: str = "assistant") -> dict:
    return {"role": role, "content": None, "tool_calls": list(calls)}


def result(content: str, id: str = "c", requestor: str = "assistant", **more: object) -> dict:
    return {"role": "tool", "id": id, "content": content, "requestor": requestor, **more}


def simulation(*messages: dict, end: str = "user_stop", reward: float | None = 1.0, **more: object) -> dict:
    rewards = None if reward is None else {"reward": reward, "db_check": {"db_match": True}, "action_checks": []}
    dialogue = [GREETING, USER, *messages]
    return {"id": "s", "task_id": "7", "termination_reason": end, "reward_info": rewards, "messages": dialogue, **more}


def one(record: dict, where: str = "/data/run_telecom.json:1") -> Trajectory:
    (trajectory,) = convert(record, where)
    trajectory.validate("warning")
    return trajectory


LOOKUP = [asks(call("get_customer_by_phone", {"phone_number": "555"})), result("{}")]
STOP = {"role": "user", "content": "Thanks. ###STOP###"}


def goes_on(history: list[dict] | None, **more: object) -> dict:
    criteria = {"actions": [{"action_id": "7_0", "name": "send_refuel", "arguments": {"gb": 2}, "info": "at last"}]}
    state = {"message_history": history, "initialization_data": {"agent_data": {"plan": "basic"}}}
    scenario = {"persona": None, "instructions": "Now get me two more."}
    return {"id": "7", "user_scenario": scenario, "initial_state": state, "evaluation_criteria": criteria, **more}


def test_the_conversation_before_a_task_is_there_and_not_learnt_from() -> None:
    own = [asks(call("toggle_data", {}, "u", "user"), role="user"), result("on", "u", "user")]
    t = one(goes_on([USER, *own, *LOOKUP, {"role": "assistant", "content": "It is on."}], description={"notes": "n"}))
    words = [step.content or step.tool_calls[0].name for step in t.steps]
    assert words == [
        *("My data is gone.", "get_customer_by_phone", "{}", "It is on."),
        *("Now get me two more.", "send_refuel"),
    ]
    assert not any(step.trainable for step in t.steps if step.role == "assistant")
    assert [action.get("result") for action in t.extra["user_actions"]] == [None, "on"]
    assert t.extra["initial_state"] == {"initialization_data": {"agent_data": {"plan": "basic"}}}
    assert t.extra["action_notes"] == [{"action_id": "7_0", "info": "at last"}]
    assert t.extra["description"] == {"notes": "n"}


@pytest.mark.parametrize("history", [None, [], [GREETING]])
def test_a_task_without_a_conversation_before_it(history: list[dict] | None) -> None:
    t = one(goes_on(history))
    assert [step.role for step in t.steps] == ["user", "assistant"]


def test_what_a_results_file_says_of_all_its_simulations_is_with_each() -> None:
    info = {"environment_info": {"domain_name": "telecom"}, "agent_info": {"llm": "m"}}
    (record,) = unpack({"info": info, "timestamp": "t", "tasks": [], "simulations": [simulation(*LOOKUP, STOP)]})
    assert one(record).extra["run"] == {"agent_info": {"llm": "m"}, "timestamp": "t"}


def test_a_simulation() -> None:
    t = one(simulation(*LOOKUP, {"role": "assistant", "content": "It works."}, STOP))
    assert [step.role[0] for step in t.steps] == list("uatau")
    assert t.extra["opening"] == ["Hi! How can I help you today?"]
    assert (t.steps[-1].content, t.extra["stop"]) == ("Thanks.", "Thanks. ###STOP###")
    assert (t.outcome.success, t.outcome.reward, t.outcome.termination) == (True, 1.0, "user_stop")
    assert (t.task.task_id, t.extra["tools_from"], len(t.tools)) == ("telecom/7", "domain telecom", 13)
    assert t.trajectory_id == "tau2_bench/s"


def test_what_the_user_does_is_not_seen_by_the_agent() -> None:
    toggles = asks(call("toggle_data", {}, "u", "user"), role="user")
    t = one(
        simulation(*LOOKUP, {"role": "assistant", "content": "Switch it on."}, toggles, result("on", "u", "user"), STOP)
    )
    assert [step.role[0] for step in t.steps] == list("uatau")
    assert t.extra["user_actions"] == [
        {"message": 5, "calls": [call("toggle_data", {}, "u", "user")]},
        {"message": 6, "result": "on"},
    ]


def test_results_in_one_message_and_errors() -> None:
    calls = asks(call("get_customer_by_id", {"customer_id": "C1"}, "a"), call("get_details_by_id", {"id": "L1"}, "b"))
    both = {"role": "tool", "tool_messages": [result("2", "b", error=True), result("Error: no", "a")]}
    t = one(simulation(calls, both))
    assert [(s.tool_call_id, s.content, s.is_error) for s in t.steps if s.role == "tool"] == [
        ("call_1", "2", True),
        ("call_0", "Error: no", True),
    ]


@pytest.mark.parametrize(
    ("end", "reward", "expected"),
    [
        ("user_stop", 0.0, (False, 0.0, "user_stop")),
        ("agent_stop", 1.0, (True, 1.0, "success")),
        ("agent_stop", 0.0, (False, 0.0, "failure")),
        ("max_steps", 0.0, (False, 0.0, "max_steps")),
        ("too_many_errors", 0.0, (False, 0.0, "failure")),
        ("user_error", 0.0, (None, None, "infra_error")),
        ("agent_stop", None, (None, None, "unknown")),
        ("something new", 1.0, (True, 1.0, "unknown")),
    ],
)
def test_outcomes(end: str, reward: float | None, expected: tuple) -> None:
    outcome = one(simulation(*LOOKUP, end=end, reward=reward)).outcome
    assert (outcome.success, outcome.reward, outcome.termination) == expected


def test_domains() -> None:
    hand_over = [asks(call("transfer_to_human_agents", {"summary": "x"})), result("Transfer successful")]
    assert one(simulation(*hand_over), "/data/run_retail.json:1").task.task_id == "retail/7"
    assert one(simulation(*hand_over), "/data/run.json:1").extra["tools_from"] == "calls"
    undeclared = one(simulation(*LOOKUP, asks(call("reboot", {"n": 1})), result("ok")), "/data/run.json:1")
    assert undeclared.extra["inferred_tools"] == ["get_customer_by_phone", "reboot"]


def test_a_results_file() -> None:
    info = {"environment_info": {"domain_name": "telecom", "policy": "# Telecom policy"}}
    task = {
        "id": "7",
        "user_scenario": {"persona": None},
        "evaluation_criteria": {"actions": [{"name": "refuel_data"}]},
    }
    (record,) = unpack({"info": info, "tasks": [task], "simulations": [simulation(*LOOKUP)]})
    t = one(record, "/data/x.json:1")
    assert (t.task.instruction, t.task.task_id) == ("# Telecom policy", "telecom/7")
    assert (t.extra["user_goal"], t.extra["gold_actions"]) == ({"persona": None}, [{"name": "refuel_data"}])
    assert unpack({"messages": []}) == [{"messages": []}]


def task(*actions: dict, **more: str | None) -> dict:
    instructions = {
        "domain": "retail",
        "reason_for_call": "You want a refund.",
        "known_info": "You are Mei.",
        **more,
    }
    criteria = {"actions": list(actions), "nl_assertions": ["Be kind."], "communicate_info": []}
    return {"id": "3", "user_scenario": {"instructions": instructions}, "evaluation_criteria": criteria}


def test_gold_actions_of_a_task() -> None:
    order = {"action_id": "3_0", "name": "get_order_details", "arguments": {"order_id": "#W1"}, "info": None}
    mine = {"action_id": "3_1", "requestor": "user", "name": "wait", "arguments": {}}
    t = one(task(order, mine))
    assert (t.tags, t.trajectory_id, t.task.task_id) == (("gold", "retail"), "tau2_bench/task/retail/3", "retail/3")
    assert t.steps[0].content == "You want a refund.\nYou are Mei."
    assert [call.name for call in t.steps[1].tool_calls] == ["get_order_details"]
    assert not t.steps[1].trainable and prompts_of(t) == []
    assert t.extra["user_actions"] == [mine] and t.extra["evaluation"] == {"nl_assertions": ["Be kind."]}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (task(), "a task without gold actions: no trajectory to convert"),
        ({"a": {"tools": []}, "b": {"tools": []}}, "lists of tools: no trajectory to convert"),
        ({"simulations": []}, "a results file without simulations: no trajectory to convert"),
        ({**simulation(), "messages": []}, "infrastructure error, no messages"),
        ({"id": "x"}, "no 'messages'"),
        (simulation(), "no assistant turn"),
        (simulation(result("1")), "result without a call"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    folder, books = real_data / "tau2_bench", Accounting("tau2_bench")
    trajectories = list(load_source("tau2_bench", folder, books))
    books.check()
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    tasks = [task for name, records in files.items() if name.endswith("_tasks.json") for task in records]
    empty = [task for task in tasks if not task["evaluation_criteria"]["actions"]]
    assert books.records_in == sum(len(value) if isinstance(value, list) else 1 for value in files.values())
    assert books.dropped == {
        "a task without gold actions: no trajectory to convert": len(empty),
        "lists of tools: no trajectory to convert": 1,
    }
    assert (books.quarantined, books.warnings) == (0, {})
    assert sum("gold" in t.tags for t in trajectories) == len(tasks) - len(empty)
    for t in trajectories:
        assert "inferred_tools" not in t.extra
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)


def test_real_simulations_are_all_there(real_data: Path) -> None:
    path = real_data / "tau2_bench" / "toolorchestra_airline_simulations.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    for record, t in zip(records, load_source("tau2_bench", path), strict=True):
        contents = [re.sub("###[A-Z-]+###", "", m["content"] or "").strip() for m in record["messages"][1:]]
        assert [step.content.strip() for step in t.steps if step.content] == [text for text in contents if text]
        calls = [call for m in record["messages"] for call in m.get("tool_calls") or []]
        made = [call for step in t.steps for call in step.tool_calls]
        assert [(c.name, c.arguments) for c in made] == [(c["name"], c["arguments"]) for c in calls]
        results = {m["id"]: m["content"] for m in record["messages"] if m["role"] == "tool"}
        answered = {step.tool_call_id: step.content for step in t.steps if step.role == "tool"}
        assert [answered.get(c.id) for c in made] == [results.get(c["id"]) for c in calls]
        assert (t.outcome.reward, t.source.raw_id) == (record["reward_info"]["reward"], record["id"])
