"""Chosen and rejected answers, as DPO is given them: any file of that form can be read (notebook 01).

Raw record (answers are texts, messages or lists of messages; the prompt is a text, a list, or what both begin with):

    {"prompt": [{"role": "user", "content": "Weather in Oslo?"}],
     "chosen": [{"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function",
                  "function": {"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}]}],
     "rejected": [{"role": "assistant", "content": "It is 4 degrees."}],
     "tools": [{"name": "weather", "description": "...", "parameters": {...}}]}

    {"conversations": [{"from": "human", "value": "2 + 2?"}], "chosen": {"from": "gpt", "value": "4"}, "rejected": ...}
    {"instruction": "Add.", "input": "2 + 2", "chosen": "4", "rejected": "5"}
    {"chosen": "\\n\\nHuman: 2 + 2?\\n\\nAssistant: 4", "rejected": "\\n\\nHuman: 2 + 2?\\n\\nAssistant: 5"}

Decisions:
- The trajectory is the prompt with the chosen answer; the prompt's own answers are not trained, as DPO doesn't either.
- The rejected answer is in `extra["rejected"]`: its steps, as a trajectory's. `rejected_siblings` gives it for DPO:

      python -m xlam_lib.train.preference.contrasts --branches preferences=rows.jsonl --out pairs.jsonl

  and so does `--data trajectories.jsonl` of what `unify` makes of these rows.
- A rejected answer may be as broken as it likes: a call that can't be read is its words (`extra["rejected_as_text"]`).
- Answers that are the same, or that part in what the model was told, are no preference: they lose the record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import ALWAYS_FUNCTION, CALL_ID, SPEAKER, SourceInfo, need_objects
from xlam_lib.data.formats.conversations import Conversation, Turn, assemble, raw_id_of, read_turns
from xlam_lib.data.formats.messages import BY_ROLE, turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.data.recognise import refused
from xlam_lib.data.siblings import REJECTED, Sibling, recorded, recorded_siblings
from xlam_lib.trajectory import Step, Tool, Trajectory

Messages = list[dict[str, Any]]
SAME = "chosen and rejected are the same"
GOES_ON = "one answer ends where the other goes on"
PROMPTS = ("prompt", "messages", "conversations", "conversation", "instruction", "question", "query")
SPEAKERS = re.compile(r"(?:\A|\n\n)(Human|Assistant):[ \t]?")
ROLES = {"Human": "user", "Assistant": "assistant"}
MESSAGE = ("role", "content", "from", "value", "tool_calls", "function_call", "tool_call_id", "name",
           "reasoning_content", "reasoning", "thinking", "weight")  # fmt: skip
NOT_TAKEN = {
    "role": SPEAKER,
    "from": SPEAKER,
    "tool_call_id": CALL_ID,
    "tool_calls[].id": CALL_ID,
    "tool_calls[].type": ALWAYS_FUNCTION,
}
SOURCE = SourceInfo(
    name="preferences",
    license="unknown",
    url="https://huggingface.co/docs/trl/dataset_formats#preference",
    files=("*.jsonl", "*.json"),
    fields=(
        *("id", "uuid", "prompt_id", "input", "system", "tools", "functions", *PROMPTS),
        *(f"{key}.{name}" for key in ("chosen", "rejected") for name in MESSAGE),
        *(f"{key}[].{name}" for key in ("chosen", "rejected", *PROMPTS[:4]) for name in MESSAGE),
    ),
    left_out={
        f"{key}{each}.{name}": why
        for key in ("chosen", "rejected", *PROMPTS[:4])
        for each in ("", "[]")
        for name, why in NOT_TAKEN.items()
    },
    layout={r"^(Human|Assistant):": "labels of the turns"},
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One row -> the chosen trajectory, with the rejected answer beside it."""
    if record.get("chosen") is None or record.get("rejected") is None:
        raise refused(record, "no chosen and rejected answer", SOURCE.name)
    prompt, chosen, rejected = _messages(record)
    before = [replace(turn, trainable=False) for turn in turns_of(prompt)]
    raw_id, notes = raw_id_of(record, where), []
    conversation, tools = _read(record, [*before, *turns_of(chosen)], notes)
    trajectory = assemble(SOURCE, raw_id, conversation, tools, extra={"unknown_types": notes})
    other, why = _rejected(record, before, rejected)
    at = _parting(trajectory.steps, other)
    extra = {**trajectory.extra, REJECTED: recorded(at, other[at:]), **({"rejected_as_text": why} if why else {})}
    if isinstance(asked := record.get("prompt"), str) and not any(asked.strip() in step.content for step in other):
        extra["prompt"] = asked  # beside two whole conversations that begin otherwise
    return [replace(trajectory, extra=extra)]


def rejected_siblings(record: dict[str, Any], where: str) -> list[Sibling]:
    """The rejected answer of a row: `rejected_siblings(row, "rows.jsonl:1")[0].rejected.content`."""
    return recorded_siblings(convert(record, where)[0])


def _messages(record: dict[str, Any]) -> tuple[Messages, Messages, Messages]:
    """(what was asked, the chosen answer, the rejected one) as messages."""
    asked = _prompt(record)
    chosen, rejected = (_answer(record[key], key, bool(asked)) for key in ("chosen", "rejected"))
    if not _is_assistant(chosen[0]):  # both are whole conversations
        common = next((i for i, pair in enumerate(zip(chosen, rejected, strict=False)) if pair[0] != pair[1]), None)
        if common is None:
            raise Drop(SAME if chosen == rejected else GOES_ON, f"{len(chosen)} and {len(rejected)} messages")
        return chosen[:common], chosen[common:], rejected[common:]
    if not asked:
        raise Drop("no prompt", f"the record has {', '.join(map(repr, list(record)[:12]))}")
    return asked, chosen, rejected


def _prompt(record: dict[str, Any]) -> Messages:
    """What was asked, in whichever field; Alpaca's input stands below its instruction."""
    key = next((key for key in PROMPTS if record.get(key)), None)
    value = record.get(key) if key else None
    if not isinstance(value, str):
        return need_objects([value] if isinstance(value, dict) else value or [], key or "prompt")
    more = record.get("input")
    text = "\n".join((value, more)) if isinstance(more, str) and more else value
    return _spoken(text) or [{"role": "user", "content": text}]


def _answer(value: Any, key: str, has_prompt: bool) -> Messages:
    if isinstance(value, str):
        value = (not has_prompt and _spoken(value)) or {"role": "assistant", "content": value}
    messages = need_objects([value] if isinstance(value, dict) else value, key)
    if not messages:
        raise Drop(f"the {key} answer is empty")
    return messages


def _spoken(text: str) -> Messages:
    """The messages of a text in which each begins with Human: or Assistant:, [] for any other."""
    before, *parts = SPEAKERS.split(text)
    if before.strip() or not parts:
        return []
    spoken = [(ROLES[who], said.strip()) for who, said in zip(parts[::2], parts[1::2], strict=True)]
    return [{"role": role, "content": said} for role, said in spoken if said or role == "user"]


def _is_assistant(message: dict[str, Any]) -> bool:
    return BY_ROLE.get(str(message.get("role") or message.get("from")).strip().lower()) in ("assistant", "call")


def _read(record: dict[str, Any], turns: Sequence[Turn], notes: list[str]) -> tuple[Conversation, tuple[Tool, ...]]:
    conversation = read_turns(turns)
    return conversation, tools_and_system(record, conversation, notes)


def _rejected(record: dict[str, Any], before: Sequence[Turn], answer: Messages) -> tuple[Sequence[Step], str]:
    """(the steps with the rejected answer, why it had to be taken as text)."""
    try:
        conversation, tools = _read(record, [*before, *turns_of(answer)], [])
    except Drop as error:
        text = answer[0].get("value") if answer[0].get("content") is None else answer[0]["content"]
        if len(answer) > 1 or not isinstance(text, str) or not text.strip():
            raise Drop("the rejected answer can't be read", str(error)[:200]) from error
        conversation, tools = _read(record, [*before, Turn("assistant", text)], [])
        return _steps(conversation, tools), str(error)[:200]
    return _steps(conversation, tools), ""


def _steps(conversation: Conversation, tools: tuple[Tool, ...]) -> Sequence[Step]:
    """As `assemble` makes them; a rejected answer may call what isn't there."""
    try:
        return assemble(SOURCE, "", conversation, tools).steps
    except Drop:
        system = [Step("system", conversation.system)] if conversation.system else []
        return [*system, *conversation.builder.steps]


def _parting(chosen: Sequence[Step], rejected: Sequence[Step]) -> int:
    """The step at which two trajectories part, each with an answer of the model."""
    at = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    if at is None:
        raise Drop(SAME if len(chosen) == len(rejected) else GOES_ON, f"{len(chosen)} and {len(rejected)} steps")
    if not chosen[at].role == rejected[at].role == "assistant":
        found = f"step {at}: {chosen[at].role} and {rejected[at].role}"
        raise Drop("chosen and rejected part in what the model was told", found)
    return at
