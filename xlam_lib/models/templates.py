"""Chat templates of checkpoints rendered: they are programs of strangers, so each runs in a child process with limits.

    rendered("[INST] {{ messages[0].content }} [/INST]", [[{"role": "user", "content": "Hi"}]])[0].text

Jinja's sandbox keeps a template from Python's attributes, but not from loops without end, nor from filling the memory.
The child (`templates_child.py`) loads nothing but Jinja, so a rendering costs a tenth of a second, whatever number of
conversations it has.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib import processes
from xlam_lib.errors import CheckpointError

SECONDS = 5  # of processor time, and a second more for so many conversations:
PER_SECOND = 200
WAITING = 20  # times as long may pass on a busy machine
BYTES = 1 << 30
LONGEST = 1_000_000  # characters, and so many times those that are given:
TIMES = 20

Conversation = Sequence[Mapping[str, Any]]


class TemplateFailed(CheckpointError):
    """A template that can't write a conversation, or not within the limits; `number` says which one."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class Rendering:
    """What a template writes, and where it marks what the assistant says: `Rendering("Hi", ((0, 2),))`."""

    text: str
    marked: tuple[tuple[int, int], ...]


def template_of(tokenizer: Any) -> str:
    """The template of a tokenizer, of several the default; "" where there is none."""
    found = tokenizer.chat_template or ""
    return found if isinstance(found, str) else found.get("default", "")


def rendered(
    template: str,
    conversations: Sequence[Conversation],
    tokenizer: Any = None,
    seconds: int = SECONDS,
    **variables: Any,
) -> list[Rendering]:
    """What a template writes of some conversations, with the tokenizer's special tokens and other variables.

    Example: `rendered(template, [messages], tokenizer, add_generation_prompt=True)[0].text`
    """
    given = {"tools": None, "documents": None, "add_generation_prompt": False}
    given |= {**(tokenizer.special_tokens_map if tokenizer else {}), **variables}
    seconds += len(conversations) // PER_SECOND
    request = {"template": template, "conversations": [list(map(dict, one)) for one in conversations]}
    request |= {"variables": given, "seconds": seconds, "bytes": BYTES}
    try:
        text = json.dumps(request | {"longest": LONGEST + TIMES * len(json.dumps(request))})
    except (TypeError, ValueError, RecursionError) as error:
        raise TemplateFailed(f"conversations and variables must be plain JSON ({error})") from error
    found = _answer(text, seconds)
    if "error" in found:
        raise TemplateFailed(found["error"], found["number"])
    return [Rendering(text, tuple(map(tuple, marked))) for text, marked in found["texts"]]


def _answer(request: str, seconds: int) -> dict[str, Any]:
    """What the child answers to a request, both JSON."""
    line = [sys.executable, "-m", "xlam_lib.models.templates_child"]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with processes.Child(line, processes.environment({}), text=True, **pipes) as child:
        try:
            answer, said = child.communicate(request, timeout=WAITING * seconds)
        except subprocess.TimeoutExpired as error:
            raise TemplateFailed(f"it takes more than {WAITING * seconds} seconds") from error
    if child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise TemplateFailed(f"it takes more than {seconds} seconds of processor time")
    if child.returncode:
        last = (said.strip().splitlines() or [""])[-1]
        raise TemplateFailed(f"what renders it {processes.how_ended(child.returncode)} ({last[:200]})")
    return json.loads(answer)
