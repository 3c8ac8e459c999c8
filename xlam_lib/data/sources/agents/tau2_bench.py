"""tau2-bench: agent and simulated user, both with tools, in three domains; messages and a reward (notebook 01).

Raw record (element of "simulations" of a results file, or of a list of them; shortened):

    {"id": "73d24917-...", "task_id": "8", "trial": 0, "termination_reason": "user_stop",
     "reward_info": {"reward": 1.0, "db_check": {"db_match": true, "db_reward": 1.0}, "action_checks": [...], ...},
     "messages": [{"role": "assistant", "content": "Hi! How can I help you today?", "tool_calls": null},
                  {"role": "user", "content": "Hi! I've got two things I need help with today: ..."},
                  {"role": "assistant", "content": null, "tool_calls": [{"id": "07cd...", "requestor": "assistant",
                    "name": "get_reservation_details", "arguments": {"reservation_id": "H9ZU1C"}}]},
                  {"role": "tool", "id": "07cd...", "requestor": "assistant", "content": "{...}"},
                  {"role": "user", "content": "I'm all set. ###STOP###"}]}

Raw task: {"id": "0", "user_scenario": {"instructions": {...}}, "evaluation_criteria": {"actions": [...]}}

Decisions, from looking at the records:
- A results file names domain and policy and is taken apart (`unpack`); the policy is `task.instruction`. Simulations
  alone don't say it: the domain is the one that has every tool called.
- Records don't describe the tools: see `tau2_bench_tools.py`; others are inferred from their calls.
- The greeting before the user speaks is the simulator's: `extra["opening"]`.
- What the user does with tools of their own isn't seen by the agent: it stands in `extra["user_actions"]`.
- ###STOP###, ###TRANSFER### and ###OUT-OF-SCOPE### are cut from the user's last words; the raw text is
  `extra["stop"]`, and a message of nothing else goes away.
- Success is reward 1. An error of the simulated user or of the system is an infrastructure error and has no reward.
- A task is no conversation, but has gold actions: the conversation so far, if it has one (`message_history`), the
  user's reason for the call and what they know, then these calls in one turn, tagged "gold". None of it is to be
  learnt from: the calls hold what only earlier results could tell. A task without actions, and lists of tools, are no
  trajectories.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import CALL_ID, SPEAKER, SourceInfo, as_reward, need, need_objects, place
from xlam_lib.data.formats.call_forms import found_calls
from xlam_lib.data.formats.conversations import Conversation, Turn, assemble, inferred_tools, read_turns
from xlam_lib.data.formats.messages import turns_of
from xlam_lib.data.sources.catalogs.tau2_bench_tools import TAU2_DOMAINS
from xlam_lib.data.sources.catalogs.tau_bench_tools import Domain
from xlam_lib.trajectory import Outcome, Tool, Trajectory

SOURCE = SourceInfo(
    name="tau2_bench",
    license="MIT",
    url="https://github.com/sierra-research/tau2-bench",
    files=("data/simulations/*.json", "data/tau2/domains/*/tasks.json"),
    samples={"toolorchestra_airline_simulations.json": (8,)},
    version="2",
    fields=(
        *("id", "task_id", "termination_reason", "reward_info", "environment_info", "task", "run"),
        *("description", "user_scenario", "initial_state", "evaluation_criteria"),
        *(f"messages[].{key}" for key in ("role", "content", "tool_calls", "requestor", "error", "tool_messages")),
    ),
    left_out={
        **{key: "when it ran and what it cost" for key in ("timestamp", "start_time", "end_time", "duration")},
        **{key: "when it ran and what it cost" for key in ("agent_cost", "user_cost", "seed", "trial")},
        **{f"messages[].{key}": "when it was said and what it cost" for key in ("timestamp", "cost", "usage")},
        "messages[].turn_idx": "the number of the message",
        "messages[].id": CALL_ID,
        "messages[].tool_calls[].id": CALL_ID,
        "messages[].role": SPEAKER,
    },
)
STOPS = ("###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###")
ENDS = {
    "user_stop": "user_stop",
    "max_steps": "max_steps",
    "too_many_errors": "failure",
    "agent_error": "failure",
    "user_error": "infra_error",
    "infrastructure_error": "infra_error",
    "unexpected_error": "infra_error",
}
NOT_CHECKS = ("reward", "action_checks")  # the outcome's own, and what `extra["gold_actions"]` has


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The simulations of a results file, each with its task and environment; any other object as it is."""
    simulations = value.get("simulations")
    if not isinstance(simulations, list) or not simulations:
        return [value]
    info = value["info"] if isinstance(value.get("info"), dict) else {}
    tasks = [task for task in value.get("tasks") or [] if isinstance(task, dict)]
    by_id = {str(task.get("id")): task for task in tasks}
    environment = info.get("environment_info")
    made = [each if isinstance(each, dict) else {"simulation": each} for each in simulations]
    run = {key: info[key] for key in info if key != "environment_info"}
    run |= {key: value[key] for key in value if key not in ("simulations", "info", "tasks")}
    shared = {"environment_info": environment, **({"run": run} if run else {})}
    return [{**shared, "task": by_id.get(str(each.get("task_id"))), **each} for each in made]


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One simulation, or the gold actions of one task -> one trajectory."""
    if "simulations" in record:
        raise Drop("a results file without simulations: no trajectory to convert")
    if "messages" not in record and "evaluation_criteria" in record:
        return [_gold(record, where)]
    if "messages" not in record and record and all(isinstance(v, dict) and "tools" in v for v in record.values()):
        raise Drop("lists of tools: no trajectory to convert")
    messages = need_objects(need(record, "messages", list), "messages")
    if not messages:
        raise Drop("infrastructure error, no messages", str(record.get("termination_reason"))[:120])
    turns, user_actions, stop = _turns(messages)
    conversation = read_turns(turns)
    environment = record["environment_info"] if isinstance(record.get("environment_info"), dict) else {}
    task = record["task"] if isinstance(record.get("task"), dict) else {}
    domain = _domain(conversation, environment.get("domain_name"), where)
    policy = environment.get("policy")
    rewards = record["reward_info"] if isinstance(record.get("reward_info"), dict) else {}
    extra = {
        "tools_from": f"domain {domain.name}" if domain else "calls",
        "user_actions": user_actions,
        "stop": stop,
        "user_goal": task.get("user_scenario"),
        "gold_actions": _gold_actions(rewards, task),
        "description": task.get("description"),
        "initial_state": _without(task.get("initial_state"), "message_history"),
        "run": record.get("run"),
    }
    return [_named(record, where, conversation, domain, extra, policy if isinstance(policy, str) else "", rewards)]


def _named(
    record: dict[str, Any],
    where: str,
    conversation: Conversation,
    domain: Domain | None,
    extra: dict[str, Any],
    policy: str,
    rewards: dict[str, Any],
) -> Trajectory:
    name = record.get("id")
    raw_id = name if isinstance(name, str) and name else place(where).rpartition("/")[2]
    tools = _tools(domain, conversation, extra)
    made = assemble(SOURCE, raw_id, conversation, tools, policy, outcome=_outcome(record, rewards), extra=extra)
    task_id = f"{domain.name if domain else 'unknown'}/{record.get('task_id')}"
    tags = (*made.tags, *([domain.name] if domain else []))
    return replace(made, task=replace(made.task, task_id=task_id), tags=tags)


def _turns(messages: list[dict[str, Any]]) -> tuple[list[Turn], list[dict[str, Any]], str]:
    """(turns, what the user did with tools, the message with which the user stopped or "")."""
    turns: list[Turn] = []
    actions: list[dict[str, Any]] = []
    stop = ""
    for number, message in enumerate(_flat(messages)):
        role, mine = message.get("role"), message.get("requestor") == "user"
        if role == "tool" and mine:
            actions.append({"message": number, "result": message.get("content")})
            continue
        if role == "tool":
            message = {**message, "tool_call_id": message.get("id") or message.get("tool_call_id")}
        if role == "user" and message.get("tool_calls"):
            actions.append({"message": number, "calls": message["tool_calls"]})
            if not message.get("content"):
                continue
        for turn in turns_of([message]):
            content = turn.content
            if role == "user":
                content = _cut(content)
                stop = turn.content if content != turn.content else stop
            failed = turn.is_error or (role == "tool" and content.startswith("Error"))
            if role != "user" or content or not turn.content:
                turns.append(replace(turn, content=content, is_error=failed))
    return turns, actions, stop


def _flat(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results that are wrapped in one message taken out of it."""
    return [
        each
        for message in messages
        for each in (
            need_objects(message["tool_messages"], "tool_messages") if message.get("tool_messages") else [message]
        )
    ]


def _cut(content: str) -> str:
    cut = content
    for stop in STOPS:
        cut = cut.replace(stop, "")
    return content if cut == content else cut.strip()


def _domain(conversation: Conversation, name: Any, where: str) -> Domain | None:
    """The domain that the file names, else the only one that has every tool called, else one that its path names."""
    called = {call.name for step in conversation.builder.steps for call in step.tool_calls}
    fitting = [domain for domain in TAU2_DOMAINS if called <= {tool.name for tool in domain.tools}]
    named = [domain for domain in TAU2_DOMAINS if domain.name == name]
    in_path = [domain for domain in fitting if domain.name in place(where)]
    return next(iter(named or (fitting if len(fitting) == 1 else in_path)), None)


def _tools(domain: Domain | None, conversation: Conversation, extra: dict[str, Any]) -> tuple[Tool, ...]:
    """The domain's tools; those that are called and not among them are inferred from the calls."""
    declared = domain.tools if domain else ()
    known = {tool.name for tool in declared}
    calls = [call for step in conversation.builder.steps for call in step.tool_calls if call.name not in known]
    inferred = inferred_tools(calls)
    extra["inferred_tools"] = [tool.name for tool in inferred]
    return (*declared, *inferred)


def _outcome(record: dict[str, Any], rewards: dict[str, Any]) -> Outcome:
    reward = as_reward(rewards.get("reward"))
    success = None if reward is None else reward == 1.0
    reason = record.get("termination_reason")
    end = ENDS.get(reason, "unknown") if isinstance(reason, str) else "unknown"
    if reason == "agent_stop" and success is not None:
        end = "success" if success else "failure"
    if end == "infra_error":
        success = reward = None
    checks = {key: value for key, value in rewards.items() if value and key not in NOT_CHECKS}
    return Outcome(success, reward, end, checks={**checks, **({"end": reason} if isinstance(reason, str) else {})})


def _gold_actions(rewards: dict[str, Any], task: dict[str, Any]) -> list[Any]:
    criteria = task["evaluation_criteria"] if isinstance(task.get("evaluation_criteria"), dict) else {}
    checks = rewards.get("action_checks")
    checked = [check.get("action") for check in checks if isinstance(check, dict)] if isinstance(checks, list) else []
    return checked or (criteria.get("actions") if isinstance(criteria.get("actions"), list) else [])


def _history(record: dict[str, Any]) -> tuple[list[Turn], list[dict[str, Any]], dict[str, Any]]:
    """(the conversation before the task, none of it to be learnt from; what the user did in it; the other state)."""
    state = record["initial_state"] if isinstance(record.get("initial_state"), dict) else {}
    turns, user_actions, _ = _turns(need_objects(state.get("message_history") or [], "message_history"))
    return [replace(turn, trainable=False) for turn in turns], user_actions, _without(state, "message_history")


def _without(value: Any, *keys: str) -> dict[str, Any]:
    """An object without some keys and without nulls; {} of anything else."""
    items = value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in items if key not in keys and item is not None}


def _gold(record: dict[str, Any], where: str) -> Trajectory:
    """The trajectory of a task: what the user wants, and the right calls."""
    criteria = need({**record, "evaluation_criteria": record["evaluation_criteria"] or {}}, "evaluation_criteria", dict)
    actions = need_objects(criteria.get("actions") or [], "actions")
    agents = [action for action in actions if action.get("requestor") != "user"]
    if not agents:
        raise Drop("a task without gold actions: no trajectory to convert")
    scenario = need(record, "user_scenario", dict)
    instructions = scenario.get("instructions")
    instructions = instructions if isinstance(instructions, dict) else {"reason_for_call": instructions}
    words = [instructions.get(key) for key in ("reason_for_call", "known_info")]
    request = "\n".join(text for text in words if isinstance(text, str) and text)
    calls = tuple(found_calls([{**action, "id": ""} for action in agents]))
    before, user_actions, initial = _history(record)
    conversation = read_turns([*before, Turn("user", request), Turn("assistant", calls=calls, trainable=False)])
    name = instructions.get("domain")
    domain = _domain(conversation, name, where)
    extra = {
        "tools_from": f"domain {domain.name}" if domain else "calls",
        "user_goal": scenario,
        "user_actions": user_actions + [action for action in actions if action.get("requestor") == "user"],
        "evaluation": {key: value for key, value in criteria.items() if key != "actions" and value},
        "action_notes": [_without(action, "name", "arguments", "requestor") for action in agents],
        "description": record.get("description"),
        "initial_state": initial,
    }
    task_id = f"{domain.name if domain else 'unknown'}/{record.get('id')}"
    made = assemble(SOURCE, f"task/{task_id}", conversation, _tools(domain, conversation, extra), "", extra=extra)
    tags = ("gold", *([domain.name] if domain else []))
    return replace(made, task=replace(made.task, task_id=task_id), tags=tags)
