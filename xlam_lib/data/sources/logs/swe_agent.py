"""SWE-agent and mini-SWE-agent: a model repairs a repository from a shell; one file a run (notebook 01).

Raw record of SWE-agent (`<instance>.traj`; shortened):

    {"environment": "swe_main",
     "trajectory": [{"action": "ls -F", "observation": "setup.py", "response": "I look.", "thought": "I look.",
                     "state": {"working_dir": "/repo"}, "query": [...]}],
     "history": [
       {"role": "system", "content": "You are an assistant ...", "agent": "main", "message_type": "system_prompt"},
       {"role": "user", "content": [{"type": "text", "text": "Fix the issue: ..."}], "agent": "main",
        "message_type": "observation"},
       {"role": "assistant", "content": "I look.", "thought": "I look.", "action": "ls -F", "agent": "main",
        "message_type": "action", "tool_calls": [{"id": "call_7", "type": "function",
          "function": {"name": "bash", "arguments": "{\\"command\\": \\"ls -F\\"}"}}]},
       {"role": "tool", "content": [{"type": "text", "text": "OBSERVATION:\\nsetup.py"}], "agent": "main",
        "message_type": "observation", "tool_call_ids": ["call_7"]}],
     "info": {"exit_status": "submitted", "submission": "diff --git ...", "model_stats": {"instance_cost": 0.02}}}

Raw record of mini-SWE-agent (`<instance>.traj.json`; shortened):

    {"info": {"exit_status": "Submitted", "submission": "diff ...", "mini_version": "1.9.0", "config": {...}},
     "messages": [{"role": "system", "content": "..."}, {"role": "user", "content": "Please solve this issue: ..."},
       {"role": "assistant", "content": "THOUGHT: I look first.\\n```bash\\nls\\n```"},
       {"role": "user", "content": "<returncode>0</returncode>\\n<output>\\nsetup.py\\n</output>"}],
     "trajectory_format": "mini-swe-agent-1", "instance_id": "demo__demo-1"}

Decisions:
- `history` is what the model saw and said; where it is missing, the steps of `trajectory` are read, with the first
  step's `query` before them.
- Older versions and models without tools act in text. Both programs say what was run (`action`, `extra.actions`; the
  one ```bash block of a message in mini-SWE-agent 1): it is a call of `bash`, what the model says beside it the text,
  and the message that answers it the result. The whole text is `extra["native_calls"]`.
- A demonstration (`is_demo`) is context: not to be learnt from. Neither is what the program says in the model's place
  as it stops ("Exit due to cost limit").
- Messages of other agents than the first (subroutines of the first version) are another conversation, and stand in
  `extra["other_agents"]`.
- Success is known only where a row says so (`resolved`, `target`). Limits of cost, steps, context and time are
  `max_steps`; an error of the model's server or of the environment is an infrastructure error.
- Rows of data sets of such runs, whose `trajectory` is a list of {"role", "text"}, are read, too; the block of code at
  a message's end is what was run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need_objects, place
from xlam_lib.data.formats.call_forms import FoundCall, found_calls
from xlam_lib.data.formats.conversations import Turn, assemble, read_turns
from xlam_lib.data.recognise import refused
from xlam_lib.data.sources.logs.openai_responses import turns_of_items
from xlam_lib.data.sources.logs.values import FORMAT, filled, outcome_of, text_of
from xlam_lib.trajectory import Outcome, Trajectory

SOURCE = SourceInfo(
    name="swe_agent",
    license="unknown",
    url="https://github.com/SWE-agent/SWE-agent",
    files=("*.traj", "*.traj.json"),
    fields=(
        *("environment", "instance_id", "info", "trajectory_format", "exit_status", "resolved", "target"),
        *("model_name", "generated_patch", "eval_logs"),
        *(f"history[].{key}" for key in ("role", "thought", "agent", "is_demo", "tool_calls[].function")),
        *("history[].content[].type", "history[].content[].text"),
        *("history[].thinking_blocks[].thinking", "history[].thinking_blocks[].type"),
        *(f"messages[].{key}" for key in ("role", "reasoning_content", "output", "type", "tool_calls[].function")),
        *("messages[].content[].type", "messages[].content[].text"),
        *(f"trajectory[].{key}" for key in ("response", "thought", "action", "observation", "query")),
        *(f"trajectory[].{key}" for key in ("role", "text", "system_prompt", "mask")),
    ),
    left_out={
        "trajectory[].*": "the steps once more, which the history has as the model saw them",
        "replay_config": "the settings of the run",
        "history[].action": "the call as a command line",
        "trajectory_format": FORMAT,
        **{f"{at}[].{key}": FORMAT for at in ("history", "messages") for key in (
            "role", "agent", "content[].type", "tool_calls[].type", "tool_calls[].id", "content[].cache_control",
        )},
        "history[].message_type": "what the role says already",
        "history[].tags": "notes for the program's own processing of the history",
        "history[].cache_control": "for the cache of the model's server",
        "history[].tool_call_ids": "ids, which ours replace",
        "history[].thinking_blocks[].signature": "a signature, not text",
        "messages[].tool_call_id": "an id, which ours replace",
        "messages[].call_id": "an id, which ours replace",
        "messages[].id": "an id, which ours replace",
        "messages[].timestamp": "when it was said",
        "messages[].extra": "what the message was made of, and what its request cost",
        "messages[].function_call": "the older form of `tool_calls`, empty",
        "messages[].provider_specific_fields": "what the model's server adds for itself",
    },
)  # fmt: skip
SHELL = "bash"
LAST_BLOCK = re.compile(r"```[^\n`]*\n(?P<command>(?:(?!```).)*?)\n?```\s*\Z", re.DOTALL)
BLOCK = re.compile(r"```(?P<kind>\w*)[ \t]*\n(?P<command>.*?)(?P<end>\n```|\Z)", re.DOTALL)
KINDS = ("bash", "mswea_bash_command")  # what mini-SWE-agent asks for, exactly one in a message
STOPPED = "Exit due to "  # how the program begins what it says in the model's place
ENDS = (  # words of an exit status, in the order in which they decide
    *((word, "max_steps") for word in ("cost", "context", "limit", "time")),
    *((word, "failure") for word in ("format", "forfeit")),
    *((word, "infra_error") for word in ("error", "environment", "api", "exception")),
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One run -> one trajectory."""
    info = record["info"] if isinstance(record.get("info"), dict) else {}
    extra = {key: record.get(key) for key in ("environment", "model_name", "generated_patch", "eval_logs")}
    turns = list(_turns(record, extra))
    conversation = read_turns(turns)
    name = record.get("instance_id")
    raw_id = name if isinstance(name, str) and name else place(where).rpartition("/")[2].removesuffix(".traj")
    outcome = _outcome(record, info)
    extra = filled({**extra, "info": info})
    return [assemble(SOURCE, raw_id, conversation, (), outcome=outcome, extra=extra, render=lambda calls: [])]


def _turns(record: dict[str, Any], extra: dict[str, Any]) -> Iterator[Turn]:
    if record.get("history"):
        history = need_objects(record["history"], "history")
        first = next((entry["agent"] for entry in history if entry.get("agent") is not None), None)
        extra["other_agents"] = [entry for entry in history if entry.get("agent") not in (None, first)]
        return _messages([entry for entry in history if entry.get("agent") in (None, first)])
    if record.get("messages"):
        return _messages(need_objects(record["messages"], "messages"))
    if not record.get("trajectory"):
        raise refused(record, "no run", SOURCE.name)
    steps = need_objects(record["trajectory"], "trajectory")
    return _messages(_rows(steps) if "role" in steps[0] else _steps(steps))


def _steps(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages of the steps of a run whose file has no history."""
    query = steps[0].get("query") or steps[0].get("messages")
    if not query:
        raise Drop("no task", "neither a history nor the first step's query")
    messages = need_objects(query, "query")
    for step in steps:
        said = {"thought": step.get("thought"), "action": step.get("action")}
        messages = [*messages, {"role": "assistant", "content": step.get("response"), **said}]
        if step.get("observation"):
            messages.append({"role": "user", "content": step["observation"]})
    return messages


def _rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages of a data set's row; what a message of the model ends with was run."""
    messages = []
    for row in rows:
        role = "assistant" if row.get("role") == "ai" else row.get("role")
        content = row.get("text") or row.get("system_prompt")
        found = LAST_BLOCK.search(content) if role == "assistant" and isinstance(content, str) else None
        said = {"thought": content[: found.start()].rstrip(), "action": found["command"]} if found else {}
        messages.append({"role": role, "content": content, "is_demo": row.get("mask") is True, **said})
    return messages


def _messages(messages: list[dict[str, Any]]) -> Iterator[Turn]:
    """The turns of messages of any version; what follows a command that was given in text is its result."""
    waits = False
    for number, message in enumerate(messages):
        where = f"message {number}"
        role = message.get("role")
        if isinstance(message.get("output"), list | str) or message.get("type") == "function_call_output":
            yield from turns_of_items([message] if "type" in message else message["output"])
            waits = False
        elif role == "assistant":
            turn = _assistant(message, where)
            waits = bool(turn.texts)
            yield turn
        elif role == "tool":
            yield Turn("tool", text_of(message.get("content"), where), raw_id=_answered(message))
        elif role in ("system", "user"):
            result = waits and role == "user" and not _demands_format(message)
            waits = waits and role != "user"
            yield Turn("tool" if result else role, text_of(message.get("content"), where))
        elif role != "exit":  # how mini-SWE-agent ended stands in `info`, too
            raise Drop("message of an unknown role", f"{str(role)[:80]!r} at {number}")


def _assistant(message: dict[str, Any], where: str) -> Turn:
    content = text_of(message.get("content"), where)
    blocks = message.get("thinking_blocks") or []
    thoughts = [block.get("thinking") for block in need_objects(blocks, "thinking_blocks")]
    reasoning = "\n".join(thought for thought in [message.get("reasoning_content"), *thoughts] if thought)
    trainable = not message.get("is_demo")
    if message.get("tool_calls"):
        calls = tuple(found_calls(message["tool_calls"]))
        return Turn("assistant", content, reasoning, calls, trainable=trainable)
    said, command = _in_text(message, content)
    if content.startswith(STOPPED) or command.startswith("exit_"):
        return Turn("assistant", content, reasoning, trainable=False)
    if not command:
        return Turn("assistant", content, reasoning, trainable=trainable)
    call = FoundCall(SHELL, {"command": command})
    return Turn("assistant", said, reasoning, (call,), (content,), trainable=trainable)


def _in_text(message: dict[str, Any], content: str) -> tuple[str, str]:
    """(what the model says, the command that it gives) of a message without calls."""
    command, thought = message.get("action"), message.get("thought")
    if isinstance(command, str):
        return thought if isinstance(thought, str) else "", command.strip("\n")
    extra = message.get("extra")
    actions = extra.get("actions") if isinstance(extra, dict) else None
    given = [action.get("command") for action in need_objects(actions, "actions")] if actions else []
    blocks = [found for found in BLOCK.finditer(content) if found["end"]]
    blocks = [found for found in blocks if not given or found["command"].strip() == given[0]]
    blocks = blocks if given else [found for found in blocks if found["kind"] in KINDS]
    if len(blocks) != 1 or len(given) > 1:
        return content, given[0] if len(given) == 1 and isinstance(given[0], str) else ""
    beside = (content[: blocks[0].start()].strip(), content[blocks[0].end() :].strip())
    return "\n".join(filter(None, beside)), blocks[0]["command"].strip()


def _demands_format(message: dict[str, Any]) -> bool:
    """Whether mini-SWE-agent says that it found no command, so that none was run."""
    extra = message.get("extra")
    return isinstance(extra, dict) and extra.get("interrupt_type") == "FormatError"


def _answered(message: dict[str, Any]) -> str:
    """The id of the call that a result answers; "" where it answers all that are open."""
    ids = message.get("tool_call_ids") or [message.get("tool_call_id")]
    return ids[0] if isinstance(ids, list) and len(ids) == 1 and isinstance(ids[0], str) else ""


def _outcome(record: dict[str, Any], info: dict[str, Any]) -> Outcome:
    status = info.get("exit_status") or record.get("exit_status")
    status = status if isinstance(status, str) else ""
    end = next((end for word, end in ENDS if word in status.lower()), "unknown")
    return outcome_of(record, end, {"exit_status": status} if status else {})
