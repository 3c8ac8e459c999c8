"""Instructions of a prompt in other words, for `layouts.py` (notebook 02). The first of each is the codec's own."""

from __future__ import annotations

import random

from xlam_lib.codec import BRIEF_STYLE, SEED_FORMAT_INSTRUCTION, SEED_TASK_INSTRUCTION
from xlam_lib.data.augment.answer_forms import FORMS

TASKS = (
    SEED_TASK_INSTRUCTION,
    BRIEF_STYLE.task_instruction,
    "You are an assistant with access to the tools below. Use them where they help, and answer the user otherwise.",
    "You are given a request and a set of functions. Decide which functions to call, and with which arguments, to "
    "carry it out.",
    "Act as an AI assistant: look at what was said and done so far, then make the next API request or reply.",
    "Help the user. You may call one tool, several, or none at all; if something you need is not known, ask for it.",
    "Given the conversation and the results of earlier calls, produce the next function calls, or a response if "
    "nothing is left to be called.",
    "Your job is to solve the task step by step with the available functions. Only use functions from the list, and "
    "only values that were given to you.",
    "Read the query, choose the tools that fit, fill in their parameters correctly, and call them.",
)
FORMATS = (  # {form}: an example of the form, {empty}: what a turn without calls looks like
    "Write your output exactly in this form, with correct types of all parameters:\n{form}\n"
    "If no function call is needed, write: {empty}",
    "Answer in the following format and with nothing else around it.\n{form}\nA turn that calls nothing is {empty}.",
    "The expected output looks like this; names and arguments are examples:\n{form}\n"
    "Leave the calls out where none is needed: {empty}",
    "{form}\n\nThis is the format of every answer. Each call needs a name from the list of tools and its arguments. "
    "Without calls: {empty}",
)
EMPTY = {
    "object": '{"thought": "...", "tool_calls": []}',
    "list": "[]",
    "fenced": '```json\n{"thought": "...", "tool_calls": []}\n```',
    "openai": '{"content": "...", "tool_calls": []}',
    "tags": "text without tags",
    "python": "[]",
}


def task_instruction(rng: random.Random) -> str:
    """One of the task instructions: `task_instruction(random.Random(0))`."""
    return rng.choice(TASKS)


def format_instructions(form: str) -> tuple[str, ...]:
    """All format instructions for a form of answers; the seeds' is among them where the form is theirs."""
    own = (SEED_FORMAT_INSTRUCTION,) if form == "object" else ()
    texts = (text.replace("{form}", FORMS[form].example).replace("{empty}", EMPTY[form]) for text in FORMATS)
    return (*own, *texts)


def format_instruction(form: str, rng: random.Random) -> str:
    """One of them: `format_instruction("python", random.Random(0))`."""
    return rng.choice(format_instructions(form))
