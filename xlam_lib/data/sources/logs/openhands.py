"""OpenHands: events of an agent that works on a computer, of its first and its second edition (notebook 01).

Raw record of the first edition (a line of an evaluation's output.jsonl; a file may be the bare list of events, and old
ones have pairs, [[action, observation], ...]; shortened):

    {"instance_id": "demo__demo-1", "instruction": "...", "test_result": {"git_patch": "diff ..."}, "error": null,
     "history": [
       {"id": 0, "source": "agent", "action": "system", "args": {"content": "You are OpenHands ...", "tools": [...]}},
       {"id": 1, "source": "user", "action": "message", "args": {"content": "Fix the issue: ..."}},
       {"id": 2, "source": "agent", "action": "run", "args": {"command": "ls", "thought": "I look first."},
        "tool_call_metadata": {"function_name": "execute_bash", "tool_call_id": "c1", "model_response": {"id": "r1",
          "choices": [{"message": {"role": "assistant", "content": "I look first.", "tool_calls": [{"id": "c1",
            "function": {"name": "execute_bash", "arguments": "{\\"command\\": \\"ls\\"}"}}]}}]}}},
       {"id": 3, "source": "agent", "observation": "run", "content": "setup.py", "cause": 2,
        "tool_call_metadata": {"function_name": "execute_bash", "tool_call_id": "c1"}}]}

Of the second, the SDK's (see `openhands_sdk.py`):

    {"history": [{"kind": "SystemPromptEvent", ...}, {"kind": "MessageEvent", "llm_message": {...}},
                 {"kind": "ActionEvent", "tool_name": "terminal", "tool_call": {...}},
                 {"kind": "ObservationEvent", ...}]}

Decisions:
- The call is what the model wrote, as `tool_call_metadata` has it. Where a model acted in text the event is all that
  there is: the action's name is the tool, and its arguments are those that a model gives, not what the program adds.
  Such tools are inferred from the calls; those that the system event lists under other names are
  `extra["offered_tools"]`.
- All calls of one response are one turn, though they were carried out one after the other.
- The last `finish` is a call. One after which the conversation went on is what the agent said, as for OpenHands itself.
- Events that the model doesn't see as they are (states, condensations, recalled knowledge) are
  `extra["program_events"]`.
- An error of the run is an infrastructure error. Success is what `resolved` or the test result's report says.
- One event alone, as the server stores them, is no conversation: `Drop`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need_objects, place
from xlam_lib.data.formats.call_forms import FoundCall, found_call
from xlam_lib.data.formats.conversations import Turn, assemble, inferred_tools, read_turns
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.data.recognise import refused
from xlam_lib.data.sources.logs.openhands_sdk import SDK_FIELDS, SDK_LEFT_OUT, sdk_tools, sdk_turns
from xlam_lib.data.sources.logs.values import filled, outcome_of, split_list
from xlam_lib.trajectory import Outcome, Trajectory

LISTS = ("history", "events", "trajectory")
KEPT = ("instruction", "instance", "metadata", "test_result", "metrics", "error", "attempt")
EVENT = ("id", "source", "action", "observation", "args", "content", "cause", "extras", "tool_call_metadata")
SOURCE = SourceInfo(
    name="openhands",
    license="unknown",
    url="https://github.com/All-Hands-AI/OpenHands",
    files=("output.jsonl", "*.json", "events.jsonl"),
    text_files=("*.json", "events.jsonl"),
    fields=(
        *("instance_id", "id", "resolved", "success", "reward", *KEPT),
        *(f"{at}[].{key}" for at in LISTS for key in (*EVENT, *SDK_FIELDS)),
        *(f"{at}[][]" for at in LISTS),
    ),
    left_out={
        **{
            f"{at}[].{key}": reason
            for at in LISTS
            for key, reason in {
                "timestamp": "when it happened",
                "message": "the program's description of the event",
                "args": "the call as the program took it; the model's own is beside it",
                "extras": "what the program knows of a result besides what the model is shown",
                "success": "whether a command's status was 0, which its text says",
                "timeout": "a limit of the program",
                "tool_call_metadata": "ids of answer and call, and the answer's cost",
                "llm_metrics": "what the model's answers cost",
                **SDK_LEFT_OUT,
            }.items()
        },
        **{f"{at}[][]": "see the same of events that aren't in pairs" for at in LISTS},
    },
)
GIVEN = {  # what a model gives of an action's arguments
    "run": ("command", "is_input"),
    "run_ipython": ("code",),
    "browse": ("url",),
    "browse_interactive": ("browser_actions",),
    "read": ("path", "start", "end", "view_range"),
    "write": ("path", "content", "start", "end"),
    "edit": (
        *("path", "command", "file_text", "old_str", "new_str", "insert_line", "view_range"),
        *("content", "start", "end"),
    ),
    "finish": ("final_thought", "message", "outputs"),
    "think": ("thought",),
    "reject": ("outputs",),
    "delegate": ("agent", "inputs"),
    "call_tool_mcp": ("name", "arguments"),
    "task_tracking": ("command", "task_list"),
}
UNSAID = (None, "", False, -1, {}, [])  # what the program fills in where the model says nothing


def _is_event(value: Any) -> bool:
    """Whether it is one event of a run, or a pair of them."""
    if isinstance(value, list):
        return bool(value) and all(map(_is_event, value))
    return isinstance(value, dict) and any(isinstance(value.get(key), str) for key in ("action", "observation", "kind"))


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a .json file; a bare list of events is one, and so are lines of them."""
    return split_list(text, _is_event, "history")


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One run -> one trajectory."""
    events = list(_events(record))
    extra: dict[str, Any] = {key: record.get(key) for key in KEPT}
    extra["program_events"] = []
    sdk = any("kind" in event for event in events)
    reader = _Reader(events, extra["program_events"])
    turns = sdk_turns(events, extra["program_events"]) if sdk else reader.turns()
    conversation = read_turns(list(turns))
    calls = [call for step in conversation.builder.steps for call in step.tool_calls]
    notes: list[str] = []
    if sdk:
        tools, extra["offered_tools"] = sdk_tools(events, inferred_tools(calls))
        extra["inferred_tools"] = [tool.name for tool in tools]
    else:
        listed = next((_args(event).get("tools") for event in events if event.get("action") == "system"), None)
        tools = tools_of(listed, notes)
        if reader.named - {tool.name for tool in tools}:
            tools, extra["offered_tools"] = (), listed
    extra["unknown_types"] = notes
    names = (record.get(key) for key in ("instance_id", "id"))
    raw_id = next((name for name in names if isinstance(name, str) and name), place(where).rpartition("/")[2])
    return [assemble(SOURCE, raw_id, conversation, tools, outcome=_outcome(record), extra=filled(extra))]


def _events(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events in their order; those of pairs one after the other."""
    events = next((record[key] for key in LISTS if record.get(key)), None)
    if events is None and _is_event(record):
        raise Drop("one event, not a run", "give the list of all events as one file")
    if not isinstance(events, list):
        raise refused(record, "no events", SOURCE.name)
    for event in events:
        pair = event if isinstance(event, list) else [event]
        yield from need_objects([each for each in pair if each is not None], "history")


class _Reader:
    """Events of the first edition -> turns."""

    def __init__(self, events: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
        self.events, self.others = events, others
        own = (event for event in events if "action" in event and event.get("source", "agent") == "agent")
        self.answered = {_call_id(event) for event in own} - {""}
        self.responses: set[str] = set()  # whose turn is there already
        self.named: set[str] = set()  # tools that are called as the program calls its actions
        acts = [n for n, event in enumerate(events) if event.get("action") in (*GIVEN, "message")]
        self.last = acts[-1] if acts else 0

    def turns(self) -> Iterator[Turn]:
        """All turns in their order."""
        waits = False  # whether a call has no result yet, for observations that name none
        for number, event in enumerate(self.events):
            kind, args = event.get("action"), _args(event)
            if kind is not None and not isinstance(kind, str):
                raise Drop("'action' is not text", f"event {number}: {str(kind)[:80]!r}")
            if kind == "system":
                yield Turn("system", str(args.get("content") or ""))
            elif kind == "message":
                if args.get("image_urls") or args.get("images_urls"):
                    raise Drop("message content is not text", f"event {number} has images")
                role = "assistant" if event.get("source") == "agent" else "user"
                yield Turn(role, str(args.get("content") or ""))
            elif kind in GIVEN and event.get("source", "agent") == "agent":
                turn = self._call(event, kind, args, number)
                waits = waits or bool(turn and turn.calls)
                yield from [turn] if turn else []
            elif kind in GIVEN:
                yield Turn("user", f"User executed the command:\n{args.get('command') or ''}")
            elif kind is None and self._is_result(event, waits):
                waits = False
                failed = event.get("observation") in ("error", "user_rejected")
                yield Turn("tool", _content(event), raw_id=_call_id(event), is_error=failed)
            elif kind is None and event.get("observation") in ("error", *GIVEN) and _content(event).strip():
                yield Turn("user", _content(event))  # of what the user ran, or of an action that couldn't be read
            else:
                self.others.append(event)

    def _is_result(self, event: dict[str, Any], waits: bool) -> bool:
        """Whether it answers a call."""
        quiet = event.get("observation") in (
            None,
            "null",
            "agent_state_changed",
            "recall",
            "condense",
            "loop_detection",
        )
        named = _call_id(event)
        return not quiet and (named in self.answered if named and self.answered else waits)

    def _call(self, event: dict[str, Any], kind: str, args: dict[str, Any], number: int) -> Turn | None:
        """The turn that an action begins; None where the response has made one already."""
        thought = str(args.get("thought") or "") if kind != "think" else ""
        if kind == "finish" and number < self.last:
            said = [thought, *(str(args[key]) for key in ("final_thought", "message") if args.get(key))]
            return Turn("assistant", "\n".join(dict.fromkeys(filter(None, said))) or "Finished.")
        meta = event["tool_call_metadata"] if isinstance(event.get("tool_call_metadata"), dict) else {}
        response = meta["model_response"] if isinstance(meta.get("model_response"), dict) else {}
        message = _message(response)
        if message is None:
            given = {key: args[key] for key in GIVEN[kind] if args.get(key) not in UNSAID}
            name = str(meta.get("function_name") or kind)
            if kind == "call_tool_mcp" and isinstance(args.get("name"), str):
                name, given = args["name"], args.get("arguments")
            elif "function_name" not in meta:
                self.named.add(name)
            return Turn("assistant", thought, "", (FoundCall(name, given, _call_id(event)),))
        if (name := str(response.get("id") or "")) and name in self.responses:
            return None
        self.responses.add(name)
        calls = [found_call(call) for call in need_objects(message["tool_calls"], "tool_calls")]
        calls = [call for call in calls if call.id in self.answered or not call.id]
        reasoning = message.get("reasoning_content")
        content = message["content"] if isinstance(message.get("content"), str) else thought
        return Turn("assistant", content, reasoning if isinstance(reasoning, str) else "", tuple(calls))


def _args(event: dict[str, Any]) -> dict[str, Any]:
    return event["args"] if isinstance(event.get("args"), dict) else {}


def _message(response: dict[str, Any]) -> dict[str, Any] | None:
    """The model's message with the calls, where the event has it."""
    choices = response.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    return message if isinstance(message, dict) and message.get("tool_calls") else None


def _call_id(event: dict[str, Any]) -> str:
    """What a call and its result have in common: the call's id, or the number of the event."""
    meta = event.get("tool_call_metadata")
    if isinstance(meta, dict) and isinstance(meta.get("tool_call_id"), str):
        return meta["tool_call_id"]
    number = event.get("id") if "action" in event else event.get("cause")
    return f"event {number}" if isinstance(number, int) else ""


def _content(event: dict[str, Any]) -> str:
    content = event.get("content")
    return content if isinstance(content, str) else ""


def _outcome(record: dict[str, Any]) -> Outcome:
    result = record["test_result"] if isinstance(record.get("test_result"), dict) else {}
    report = result["report"] if isinstance(result.get("report"), dict) else {}
    error = record.get("error")
    end = "unknown"
    if isinstance(error, str) and error:
        end = "max_steps" if "iteration" in error.lower() or "budget" in error.lower() else "infra_error"
    return outcome_of({**report, **record}, end, {"error": error} if error else {})
