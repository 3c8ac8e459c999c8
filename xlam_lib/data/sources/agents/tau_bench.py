"""tau-bench: an agent serves a simulated user by a policy and a database; OpenAI messages and a reward (notebook 01).

Raw record (element of a list, named by run and domain; shortened):

    {"task_id": 1, "trial": 0, "reward": 0.0,
     "info": {"task": {"user_id": "olivia_gonzalez_2305", "instruction": "You are olivia_gonzalez_2305, ...",
                       "actions": [{"name": "cancel_reservation", "kwargs": {...}}], "outputs": []},
              "reward_info": {"reward": 0.0, "info": {"r_actions": 0.0, "gt_data_hash": "4fab..."}, "actions": [...]}},
     "traj": [{"role": "system", "content": "# Airline Agent Policy\\n\\n..."},
              {"role": "user", "content": "Hi there! I need to change my return flight ..."},
              {"role": "assistant", "content": null, "tool_calls": [{"id": "call_Kp4S", "type": "function",
                "function": {"name": "get_reservation_details", "arguments": "{\\"reservation_id\\":\\"Z7GOZK\\"}"}}]},
              {"role": "tool", "tool_call_id": "call_Kp4S", "name": "get_reservation_details", "content": "{...}"},
              {"role": "user", "content": "Thank you! ###STOP###"}]}

Decisions, from looking at the records:
- The policy (system message) is `task.instruction`; the user's hidden goal and the expected actions stand in `extra`.
- Records don't say which tools there were. Those of the two domains are known (`tau_bench_tools.py`), and
  `extra["tools_from"]` says "domain airline"; others are inferred from the calls of the record and named in
  `extra["inferred_tools"]`. A call that the environment itself refused as unknown loses the record.
- Call ids repeat within a record; ours replace them, theirs stand in `extra["raw_call_ids"]`, in order.
- Text beside a call is addressed to nobody, but it isn't a thought either: it stays `content`.
- "###STOP###" is cut from the user's last words; a message of nothing else goes away. The raw text is `extra["stop"]`.
- The reward is a check of the final database: success is reward 1. Ends: the user stopped, the agent handed over
  (success or failure by the reward), else the turn limit.
- Records without messages are crashes of the run: dropped, since an infrastructure error is no zero.
"""

from __future__ import annotations

import re
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import ALWAYS_FUNCTION, SPEAKER, SourceInfo, as_reward, need, need_objects, place
from xlam_lib.data.formats.chat import StepBuilder, calls_of
from xlam_lib.data.formats.schemas import tool_of_calls
from xlam_lib.data.sources.catalogs.tau_bench_tools import DOMAINS, Domain
from xlam_lib.trajectory import Outcome, Step, Task, Tool, Trajectory

SOURCE = SourceInfo(
    name="tau_bench",
    license="MIT",
    url="https://github.com/sierra-research/tau-bench",
    files=("historical_trajectories/*.json",),
    samples={"gpt-4o-airline.json": (0, 20, 33)},
    fields=(
        *("task_id", "trial", "reward", "info.task", "info.reward_info"),
        *(f"traj[].{key}" for key in ("role", "content", "tool_calls", "function_call", "tool_call_id", "name")),
    ),
    left_out={
        "traj[].role": SPEAKER,
        "traj[].tool_calls[].type": ALWAYS_FUNCTION,
        "info.user_cost": "what the simulated user cost",
        "info.source": "what asked for the episode",
    },
)
STOP = "###STOP###"
ERRORS = ("Error", "Unknown action")
OTHER_FORMS = {
    "messages_display": "a text transcript, which leaves out the calls",
    "n_messages": "a score without messages",
}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One episode -> one trajectory."""
    messages = _messages(record)
    builder, policy, stop = _walk(messages)
    steps = tuple(builder.steps)
    info = record["info"] if isinstance(record.get("info"), dict) else {}
    task = info["task"] if isinstance(info.get("task"), dict) else {}
    domain = _domain(policy, steps)
    tools, inferred = _tools(domain, steps)
    raw_id = "/".join([place(where).rpartition("/")[2].partition(":")[0], *_numbers(record)])
    extra = {
        "tools_from": f"domain {domain.name}" if domain else "calls",
        "inferred_tools": inferred,
        "stop": stop,
        "user_goal": task.get("instruction"),
        "gold_actions": task.get("actions"),
        "gold_outputs": task.get("outputs"),
        "raw_call_ids": builder.raw_ids,
        "repairs": builder.repairs,
    }
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(policy, task_id="/".join([domain.name if domain else "unknown", _numbers(record)[0]])),
            tools=tools,
            steps=steps,
            outcome=_outcome(record, steps, bool(stop), domain),
            tags=("multi_turn", *([domain.name] if domain else [])),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def _messages(record: dict[str, Any]) -> list[dict[str, Any]]:
    for key, form in OTHER_FORMS.items():
        if key in record and "traj" not in record:
            raise Drop(f"{form}: no trajectory to convert")
    messages = need_objects(need(record, "traj", list), "traj")
    if not messages:
        raise Drop("infrastructure error, no messages", str(record.get("info") or {})[:120])
    return messages


def _numbers(record: dict[str, Any]) -> list[str]:
    """Task and trial, which together name an episode of a run."""
    return [str(need(record, "task_id", int)), *([str(record["trial"])] if "trial" in record else [])]


def _walk(messages: list[dict[str, Any]]) -> tuple[StepBuilder, str, str]:
    """(steps, policy, the message with which the user stopped or "")."""
    builder, policy, stop = StepBuilder(), "", ""
    for number, message in enumerate(messages):
        role, content = message.get("role"), message.get("content") or ""
        if not isinstance(content, str):
            raise Drop("message content is not text", f"{role}: {type(content).__name__}")
        if role == "system" and number == 0:
            policy = content
        elif role == "user":
            if STOP in content:
                stop, content = content, content.replace(STOP, "").strip()
            if content:
                builder.user(content)
        elif role == "assistant":
            builder.assistant(content, calls_of(message))
        elif role == "tool":
            if content.startswith("Unknown action"):
                raise Drop("call of an undeclared tool", content[:80])
            raw_id, name = str(message.get("tool_call_id") or ""), str(message.get("name") or "")
            builder.result(content, name, raw_id, is_error=content.startswith(ERRORS))
        else:
            raise Drop("message of an unknown role", f"{role!r} at {number}")
    return builder, policy, stop


def _domain(policy: str, steps: tuple[Step, ...]) -> Domain | None:
    """The domain that the policy's heading names, else the only one that has every tool called."""
    heading = re.findall(r"\w+", policy.lstrip().partition("\n")[0].lower())
    if named := [domain for domain in DOMAINS if domain.name in heading]:
        return named[0]
    called = {call.name for step in steps for call in step.tool_calls}
    fitting = [domain for domain in DOMAINS if called and called <= {tool.name for tool in domain.tools}]
    return fitting[0] if len(fitting) == 1 else None


def _tools(domain: Domain | None, steps: tuple[Step, ...]) -> tuple[tuple[Tool, ...], list[str]]:
    """(tools, names of those inferred from the calls)."""
    declared = domain.tools if domain else ()
    calls: dict[str, list[dict[str, Any]]] = {}
    for call in (call for step in steps for call in step.tool_calls):
        if call.name not in {tool.name for tool in declared}:
            calls.setdefault(call.name, []).append(call.arguments)
    inferred = sorted(calls)
    return (*declared, *(tool_of_calls(name, calls[name]) for name in inferred)), inferred


def _outcome(record: dict[str, Any], steps: tuple[Step, ...], stopped: bool, domain: Domain | None) -> Outcome:
    reward = as_reward(record.get("reward"))
    success = None if reward is None else reward == 1.0
    handed_over = domain is not None and any(call.name in domain.ending for step in steps for call in step.tool_calls)
    if stopped:
        termination = "user_stop"
    elif handed_over and steps[-1].role == "tool" and steps[-1].name in domain.ending:
        termination = "success" if success else "failure"
    else:
        termination = "max_steps"
    info = (record.get("info") or {}).get("reward_info") if isinstance(record.get("info"), dict) else None
    return Outcome(success, reward, termination, checks=info.get("info") or {} if isinstance(info, dict) else {})
