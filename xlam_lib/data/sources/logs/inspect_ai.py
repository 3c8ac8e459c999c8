"""Inspect's logs of evaluations (inspect_ai), one file an evaluation, several samples in it (notebook 01).

Raw record (element of "samples" of a `.json` log, or a member of a `.eval` file, which is a zip; shortened):

    {"id": 7, "epoch": 1, "input": "What is 1 + 2?", "target": "3", "metadata": {"level": "easy"},
     "messages": [
       {"role": "system", "content": "Use the tools."},
       {"role": "user", "content": "What is 1 + 2?", "source": "input"},
       {"role": "assistant", "source": "generate", "model": "openai/some-model",
        "content": [{"type": "reasoning", "reasoning": "I add them."}, {"type": "text", "text": "I add."}],
        "tool_calls": [{"id": "call_1", "function": "add", "arguments": {"x": 1, "y": 2}, "type": "function"}]},
       {"role": "tool", "content": "3", "tool_call_id": "call_1", "function": "add"},
       {"role": "assistant", "content": "attachment://8c0f...", "source": "generate"}],
     "attachments": {"8c0f...": "1 + 2 is 3, since ..."},
     "events": [{"event": "model", "tools": [{"name": "add", "description": "...", "parameters": {...}}], ...}],
     "scores": {"match": {"value": "C", "answer": "3", "explanation": "..."}}}

Decisions:
- A log is taken apart (`unpack`); what it says of the evaluation as a whole goes with each sample.
- The model is shown a failed call's error in place of a result: it is the result, marked `is_error`.
- Tools are those that the model was given in the events of its own answers; a log without events doesn't name any, and
  they are inferred from the calls.
- What an assistant says in a sample's input, and what a person wrote (`source` "input", "operator"), is not to be
  learnt from; nor is a call whose arguments couldn't be parsed (`parse_error`), as the log doesn't have what was
  written.
- Grades C and I, and true and false, are success or not; a number is the reward. Where scorers differ, neither is
  claimed; all scores stand in the checks. A sample that an error ended is an infrastructure error, one that a limit
  ended has `max_steps`.
- Tools that the model's server runs (web search) are parts of a message, not calls: such a record is dropped, and so is
  one with images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, ZippedFile, as_reward, need, need_objects, place
from xlam_lib.data.formats.conversations import Turn, assemble, read_turns
from xlam_lib.data.formats.messages import turns_of
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.data.recognise import refused
from xlam_lib.data.sources.logs.values import FORMAT, filled, split_list
from xlam_lib.trajectory import Outcome, Tool, Trajectory

KEPT = ("choices", "target", "metadata", "store", "files", "setup", "sandbox", "description", "invalidation", "limit")
RUN = ("task", "task_id", "run_id", "eval_id", "created", "model", "dataset.name")
SOURCE = SourceInfo(
    name="inspect_ai",
    license="unknown",
    url="https://inspect.aisi.org.uk/eval-logs.html",
    files=("*.eval", "*.json"),
    text_files=("*.json",),
    zipped_file=ZippedFile("*.eval", "samples/*.json", ("header.json", "_journal/start.json"), "samples"),
    fields=(
        *("id", "epoch", "input"),
        *(f"messages[].{key}" for key in ("role", "function", "error", "source", "metadata", "model")),
        *(f"messages[].content[].{key}" for key in ("type", "text", "refusal", "reasoning", "redacted")),
        *(f"messages[].tool_calls[].{key}" for key in ("function", "arguments", "type", "parse_error")),
        *("events", "attachments", "scores", "error", *KEPT),
        *(f"log.eval.{key}" for key in RUN),
    ),
    left_out={
        "log.*": "what the whole log says of settings, figures and costs, the same for all samples",
        "log.eval.*": "how the evaluation was set up, the same for all samples",
        "log.eval.dataset.*": "how the evaluation was set up, the same for all samples",
        "uuid": "an id of the run",
        "output": "the last answer once more, with its cost",
        "events": "how the messages came about; of them the tools are taken",
        "events_data": "messages and requests that the events share",
        "attachments": "texts of messages are put back in their place; the others belong to events",
        "timelines": "how the events are to be shown",
        "error_retries": "errors of earlier tries",
        **{f"messages[].{key}": FORMAT for key in ("role", "source", "content[].type", "tool_calls[].type")},
        "messages[].id": "an id, which our order replaces",
        "messages[].tool_call_id": "an id, which ours replace",
        "messages[].tool_calls[].id": "an id, which ours replace",
        "messages[].tool_calls[].view": "how the call is to be shown",
        "messages[].content[].internal": "what the model's server adds for itself",
        "messages[].content[].signature": "a signature, not text",
        "messages[].content[].summary": "read where the reasoning itself isn't there",
        **dict.fromkeys(("started_at", "completed_at", "total_time", "working_time"), "when it was run"),
        **dict.fromkeys(("model_usage", "role_usage", "model_fallbacks", "turn_count"), "what the run cost"),
        **dict.fromkeys(("token_limit", "token_limit_type", "token_limit_usage"), "the limits that were set"),
        **dict.fromkeys(("message_limit", "time_limit"), "the limits that were set"),
    },
    layout={r"^attachment://\w*": "the place of a text that lies in the attachments"},
)
GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
ATTACHED = "attachment://"


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The log of a .json file, in which numbers may be NaN."""
    return split_list(text, lambda value: False, "samples")


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The samples of a log, each with what the log says of them all; a log without any as it is."""
    samples = value.get("samples")
    if not isinstance(samples, list):
        return [value]
    log = {key: item for key, item in value.items() if key != "samples"}
    return [{"log": log, **(each if isinstance(each, dict) else {"messages": each})} for each in samples]


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One sample -> one trajectory."""
    if "messages" not in record and ("samples" in record or "eval" in record):
        raise Drop("a log without samples: no trajectory to convert")
    if "messages" not in record:
        raise refused(record, "no 'messages'", SOURCE.name)
    attached = record["attachments"] if isinstance(record.get("attachments"), dict) else {}
    messages = _resolved(need_objects(need(record, "messages", list), "messages"), attached)
    if not messages:
        raise Drop("a sample without messages", str(record.get("error"))[:120])
    notes: list[Any] = []
    run = _run(record)
    turns = [turn for number, each in enumerate(messages) for turn in _turns(each, number, run.get("model"), notes)]
    conversation = read_turns(turns)
    unknown: list[str] = []
    tools, changed = _tools(record, messages, attached, unknown)
    sample = {key: _resolved(record.get(key), attached) for key in (*KEPT, "error")}
    said = {step.content for step in conversation.builder.steps}
    given = _resolved(record.get("input"), attached)
    extra = {
        "run": run,
        "input": given if isinstance(given, str) and given not in said else None,
        "message_notes": notes,
        "other_tools": changed,
        "unknown_types": unknown,
        **sample,
    }
    name = f"{record.get('id')}/epoch_{record.get('epoch', 1)}" if record.get("id") is not None else place(where)
    raw_id = f"{run['task']}/{name}" if isinstance(run.get("task"), str) else name
    outcome = _outcome(record)
    return [assemble(SOURCE, raw_id, conversation, tools, outcome=outcome, extra=filled(extra))]


def _resolved(value: Any, attached: dict[str, Any]) -> Any:
    """A value with the texts in it that lie in the attachments."""
    if isinstance(value, str) and value.startswith(ATTACHED):
        name = value.removeprefix(ATTACHED)
        if name not in attached:
            raise Drop("an attachment is missing", name[:80])
        return attached[name]
    if isinstance(value, dict):
        return {key: _resolved(item, attached) for key, item in value.items()}
    return [_resolved(item, attached) for item in value] if isinstance(value, list) else value


def _turns(message: dict[str, Any], number: int, model: Any, notes: list[Any]) -> Iterator[Turn]:
    """The turns of a message; `notes` gets what else it has, the model where it isn't the evaluation's."""
    role, source = message.get("role"), message.get("source")
    content = message.get("content")
    if isinstance(content, list):
        content = [_part(part, number) for part in content]
    note = filled({key: message.get(key) for key in ("metadata", "model") if message.get(key) != model})
    trainable = source not in ("input", "operator")
    calls = need_objects(message.get("tool_calls") or [], "tool_calls")
    if errors := [call["parse_error"] for call in calls if call.get("parse_error")]:
        note, trainable = {**note, "parse_errors": errors}, False
    error = message["error"] if isinstance(message.get("error"), dict) else None
    if error:
        note = {**note, "error_type": error.get("type")}
    if note:
        notes.append({"message": number, **note})
    plain = {"role": role, "content": content, "name": message.get("function") if role == "tool" else None}
    plain |= {"tool_calls": calls, "tool_call_id": message.get("tool_call_id")} if role in ("assistant", "tool") else {}
    for turn in turns_of([plain]):
        if error:
            texts = dict.fromkeys(filter(None, (str(error.get("message") or ""), turn.content)))
            turn = replace(turn, content="\n".join(texts), is_error=True)
        yield turn if trainable else replace(turn, trainable=False)


def _part(part: Any, number: int) -> Any:
    """A part of a content as other formats have it."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "tool_use":
        raise Drop("a tool that the model's server runs", f"{str(part.get('name'))[:80]!r}: message {number}")
    if kind == "reasoning":
        text = part.get("summary") if part.get("redacted") or not part.get("reasoning") else part["reasoning"]
        return {"type": "reasoning", "text": text or ""}
    return {"type": kind, "text": part.get("text")} if kind == "text" else part


def _tools(
    record: dict[str, Any], messages: list[dict[str, Any]], attached: dict[str, Any], unknown: list[str]
) -> tuple[tuple[Tool, ...], list[Any]]:
    """(tools that the model was given, other descriptions of tools of these names)."""
    all_ = record["events"] if isinstance(record.get("events"), list) else []
    events = [event for event in all_ if isinstance(event, dict) and event.get("event") == "model"]
    own = {message["id"] for message in messages if isinstance(message.get("id"), str)}
    ours = [event for event in events if _answer_id(event) in own] or events
    found: dict[str, Tool] = {}
    others: list[Any] = []
    for event in ours:
        for tool in tools_of(_resolved(event.get("tools"), attached), unknown):
            if found.setdefault(tool.name, tool) != tool and tool.to_dict() not in others:
                others.append(tool.to_dict())
    return tuple(found.values()), others


def _answer_id(event: dict[str, Any]) -> str:
    """The id of the message that a model's event brought, "" where it brought none."""
    output = event.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    found = first["message"].get("id") if isinstance(first.get("message"), dict) else None
    return found if isinstance(found, str) else ""


def _run(record: dict[str, Any]) -> dict[str, Any]:
    """What of the evaluation goes with each sample."""
    log = record["log"] if isinstance(record.get("log"), dict) else {}
    about = log["eval"] if isinstance(log.get("eval"), dict) else {}
    dataset = about["dataset"] if isinstance(about.get("dataset"), dict) else {}
    return filled({**{key: about.get(key) for key in RUN}, "dataset": dataset.get("name")})


def _outcome(record: dict[str, Any]) -> Outcome:
    scores = record["scores"] if isinstance(record.get("scores"), dict) else {}
    values = [score.get("value") for score in scores.values() if isinstance(score, dict)]
    rewards = {_reward(value) for value in values}
    reward = rewards.pop() if len(rewards) == 1 else None
    graded = reward in (0.0, 1.0) and all(isinstance(value, bool | str) for value in values)
    checks = {"scores": scores} if scores else {}
    if record.get("error"):
        return Outcome(termination="infra_error", checks=checks)
    end = "max_steps" if record.get("limit") else "unknown"
    return Outcome(reward == 1.0 if graded else None, reward, end, checks=checks)


def _reward(value: Any) -> float | None:
    """A score as a number, where it is one: `_reward("C")` -> 1.0."""
    if isinstance(value, str):
        return GRADES.get(value)
    return float(value) if isinstance(value, bool) else as_reward(value)
