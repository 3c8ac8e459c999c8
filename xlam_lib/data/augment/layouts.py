"""Prompts in other layouts: order of blocks, marker styles, instructions, ways to write tools and answers.

A model that has seen one layout only learns the layout. A `PromptVariant` says one of many; `render` writes a turn in
it and `read` and `read_answer` take prompt and completion apart again, exactly. `PromptVariant()` writes what the codec
writes, byte for byte. Used by notebook 02 and, through `turns_of`, by all training:

    variant = random_variant(random.Random(7), [tool.name for tool in t.tools])
    prompt, completion = render(t, variant, step=1)
    read(prompt, variant).query, read_answer(completion, variant.answers).calls

Instructions and query are free text. A line in them that is one of the variant's own
markers gets a backslash, so that nobody can forge a block, and `read` takes it off again. The history stays JSON.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from xlam_lib.answers import json_text
from xlam_lib.codec import (
    BLOCK_MARKS,
    BRIEF_STYLE,
    SEED_FORMAT_INSTRUCTION,
    SEED_TASK_INSTRUCTION,
    PromptStyle,
    answer_of,
    history_steps,
    prompts_of,
    read_tools,
    render_tools,
    style_of,
)
from xlam_lib.data.augment.answer_forms import (
    FORMS,
    escaped,
    format_instruction,
    python_can_express,
    read_answer,
    unescaped,
    write_answer,
)
from xlam_lib.trajectory import Tool, Trajectory
from xlam_lib.views import tools_to_openai

__all__ = [
    "MARKERS",
    "Prompt",
    "PromptVariant",
    "random_variant",
    "read",
    "read_answer",
    "render",
    "render_all",
    "turns_of",
    "variant_of",
    "with_variant",
    "without_variant",
]

BLOCKS = ("task instruction", "available tools", "format instruction", "query", "history steps")
FREE = ("task instruction", "format instruction", "query")  # blocks of free text
TOOL_FORMS = ("concise", "marked", "schema", "openai")
LAYOUTS = ("list", "lines", "indented")
TASKS = (  # the first two are the codec's own
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
VARIANT = "prompt variant"  # key of Trajectory.extra


class Markers(NamedTuple):
    """The lines around a block; `{0}` stands for its name. Without an end, a block goes on to the next."""

    begin: str
    end: str
    name: Callable[[str], str]

    def lines(self, block: str) -> tuple[str, str]:
        """(begin, end): `MARKERS["tags"].lines("query")` -> ("<query>", "</query>")."""
        name = self.name(block)
        return self.begin.format(name), self.end.format(name)


def _snake(name: str) -> str:
    return name.replace(" ", "_")


MARKERS = {
    "brackets": Markers(*BLOCK_MARKS, str.upper),
    "tags": Markers("<{0}>", "</{0}>", _snake),
    "headings": Markers("### {0}", "", str.capitalize),
    "stars": Markers("**{0}:**", "", str.title),
    "rules": Markers("--- {0} ---", "--- end of {0} ---", str),
    "chatml": Markers("<|{0}|>", "<|end_{0}|>", _snake),
    "colons": Markers("{0}:", "", str.upper),
}


@dataclass(frozen=True)
class PromptVariant:
    """One layout: `PromptVariant(markers="tags", answers="python")`; `asdict` of it can be kept beside a row."""

    order: tuple[str, ...] = BLOCKS
    markers: str = "brackets"
    task_instruction: str = SEED_TASK_INSTRUCTION  # where the trajectory has none of its own
    format_instruction: str = SEED_FORMAT_INSTRUCTION
    tools: str = "concise"
    layout: str = "list"  # of tools and history
    answers: str = "object"

    def __post_init__(self) -> None:
        if sorted(self.order) != sorted(BLOCKS):
            raise ValueError(f"order is {self.order!r}, expected each of {', '.join(BLOCKS)} once")
        for name, known in (("markers", MARKERS), ("tools", TOOL_FORMS), ("layout", LAYOUTS), ("answers", FORMS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(known)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: `PromptVariant(**{**d, "order": tuple(d["order"])})` is the variant again."""
        return {**asdict(self), "order": list(self.order)}

    @property
    def marker_lines(self) -> list[str]:
        """Every line that marks a block."""
        return [line for block in BLOCKS for line in MARKERS[self.markers].lines(block) if line]


@dataclass(frozen=True)
class Prompt:
    """What a prompt says. Its tools are those of the trajectory as far as the variant's form can tell them."""

    instruction: str
    tools: tuple[Tool, ...]
    format_instruction: str
    query: str
    history: list[dict[str, Any]] = field(default_factory=list)


def random_variant(rng: random.Random, names: Sequence[str] = ()) -> PromptVariant:
    """A variant by chance, the same for the same seed; `names` are those of the tools, for not all can be Python.

    Mostly the query comes after tools and instructions, and the history behind it, as models expect.
    """
    forms = [form for form in FORMS if form != "python" or python_can_express(names)]
    answers = rng.choice(forms)
    head = rng.sample(BLOCKS[:3], 3)
    order = (*head, *BLOCKS[3:]) if rng.random() < 0.7 else tuple(rng.sample(BLOCKS, len(BLOCKS)))
    return PromptVariant(
        order=order,
        markers=rng.choice(list(MARKERS)),
        task_instruction=rng.choice(TASKS),
        format_instruction=format_instruction(answers, rng),
        tools=rng.choice(TOOL_FORMS),
        layout=rng.choice(LAYOUTS),
        answers=answers,
    )


def render(trajectory: Trajectory, variant: PromptVariant, step: int) -> tuple[str, str]:
    """(prompt, completion) of the assistant's turn at that step."""
    query, history = history_steps(trajectory.steps[:step])
    instruction = style_of(trajectory, PromptStyle(variant.task_instruction)).task_instruction
    prompt = Prompt(instruction, trajectory.tools, variant.format_instruction, query, history)
    return write(prompt, variant), write_answer(answer_of(trajectory.steps[step]), variant.answers)


def render_all(trajectory: Trajectory, variant: PromptVariant) -> Iterator[tuple[int, str, str]]:
    """(step, prompt, completion) of each turn to be learnt from, as `codec.prompts_of` gives them."""
    for index, step in enumerate(trajectory.steps):
        if step.role == "assistant" and step.trainable:
            yield index, *render(trajectory, variant, index)


def with_variant(trajectory: Trajectory, variant: PromptVariant) -> Trajectory:
    """The trajectory, its turns to be written in that layout by `turns_of`; `without_variant` undoes it."""
    return replace(trajectory, extra={**trajectory.extra, VARIANT: variant.to_dict()})


def without_variant(trajectory: Trajectory) -> Trajectory:
    """The trajectory that `with_variant` was given; any other comes back as it is."""
    kept = {key: value for key, value in trajectory.extra.items() if key != VARIANT}
    return replace(trajectory, extra=kept) if VARIANT in trajectory.extra else trajectory


def variant_of(trajectory: Trajectory) -> PromptVariant | None:
    """The layout that the trajectory names, None where it names none."""
    kept = trajectory.extra.get(VARIANT)
    return None if kept is None else PromptVariant(**{**kept, "order": tuple(kept["order"])})


def turns_of(trajectory: Trajectory, style: PromptStyle) -> list[tuple[int, str, str]]:
    """(step, prompt, completion) of each turn to be learnt from: in the layout that it names, else in the style."""
    variant = variant_of(trajectory)
    return prompts_of(trajectory, style) if variant is None else list(render_all(trajectory, variant))


def write(prompt: Prompt, variant: PromptVariant) -> str:
    """The text of a prompt; `read` takes it apart again."""
    bodies = {
        "task instruction": escaped(prompt.instruction, variant.marker_lines),
        "available tools": _encode_list(_encode_tools(prompt.tools, variant.tools), variant.layout),
        "format instruction": escaped(prompt.format_instruction, variant.marker_lines),
        "query": escaped(prompt.query, variant.marker_lines),
        "history steps": _encode_list(prompt.history, variant.layout) if prompt.history else None,
    }
    shown = [block for block in variant.order if bodies[block] is not None]
    blocks = [_block(block, bodies[block] or "", variant) for block in shown]
    if shown[-1] == "history steps" and MARKERS[variant.markers].end:
        blocks[-1] = f"\n{blocks[-1][:-1]}"  # set apart as the seeds do it
    return "".join(blocks)


def _block(block: str, body: str, variant: PromptVariant) -> str:
    begin, end = MARKERS[variant.markers].lines(block)
    return f"{begin}\n{body}\n{end}\n\n" if end else f"{begin}\n{body}\n\n"


def _encode_list(items: Sequence[Any], layout: str) -> str:
    if layout == "lines":
        return "\n".join(map(json_text, items))
    return json.dumps(items, ensure_ascii=False, allow_nan=False, indent=2 if layout == "indented" else None)


def _encode_tools(tools: Sequence[Tool], form: str) -> list[dict[str, Any]]:
    if form in ("concise", "marked"):
        return render_tools(tools, mark_required=form == "marked")
    given = tools_to_openai(tools)
    return given if form == "openai" else [tool["function"] for tool in given]


def read(text: str, variant: PromptVariant) -> Prompt:
    """What a prompt of this variant says; a ValueError when the text was not written in it."""
    try:
        bodies = _bodies(text, variant)
        texts = [unescaped(bodies[block], variant.marker_lines) for block in FREE]
        tools = _decode_tools(_decode_list(bodies["available tools"], variant.layout), variant.tools)
        history = _decode_list(bodies["history steps"], variant.layout) if "history steps" in bodies else []
        prompt = Prompt(texts[0], tools, texts[1], texts[2], history)
        same = write(prompt, variant) == text
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a prompt of this variant ({error}): {text[:120]!r}") from error
    if not same:
        raise ValueError(f"not spelled as this variant spells a prompt: {text[:120]!r}")
    return prompt


def _bodies(text: str, variant: PromptVariant) -> dict[str, str]:
    """The text of each block, between the lines that mark it."""
    markers, at, bodies = MARKERS[variant.markers], 0, {}
    begins = "|".join(re.escape(markers.lines(block)[0]) for block in BLOCKS)
    next_begin = re.compile(rf"^(?:{begins})$", re.MULTILINE)
    for block in variant.order:
        begin, end = markers.lines(block)
        while text.startswith("\n", at):
            at += 1
        if text.startswith(f"{begin}\n", at):
            start = at + len(begin) + 1
            stop, at = _end(text, start, end, next_begin)
            bodies[block] = text[start:stop]
        elif block != "history steps":
            raise ValueError(f"expected {begin!r}, found {text[at : at + 40]!r}")
    return bodies


def _end(text: str, start: int, end: str, next_begin: re.Pattern[str]) -> tuple[int, int]:
    """(where the body ends that begins there, where the next block may begin)."""
    if end:
        stop = text.find(f"\n{end}\n", start)
        if stop < 0:
            raise ValueError(f"no line {end!r}")
        return stop, stop + len(end) + 2
    following = next_begin.search(text, start)
    at = following.start() if following else len(text)
    return at - 2, at


def _decode_list(body: str, layout: str) -> list[Any]:
    if layout == "lines":
        return [json.loads(line) for line in body.split("\n")] if body else []
    return json.loads(body)


def _decode_tools(given: list[dict[str, Any]], form: str) -> tuple[Tool, ...]:
    if form in ("concise", "marked"):
        return tuple(read_tools(given, mark_required=form == "marked"))
    given = [tool["function"] for tool in given] if form == "openai" else given
    return tuple(Tool(tool["name"], tool["description"], tool["parameters"]) for tool in given)
