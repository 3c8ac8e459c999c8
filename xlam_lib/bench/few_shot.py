"""Questions asked behind solved examples, so that a model which was never trained on the format can show what it knows.

Used by `experiments/07_smollm2` for the base before training. Examples stand before each question as earlier turns of
the same conversation, each with its answer and the end token:

    shots = examples_of(read_jsonl("train.jsonl"), BRIEF_STYLE, ("single", "parallel", "irrelevant"))
    evaluate.offline(task, with_examples(Greedy("smollm2-135m").answers, shots, eos="<|im_end|>"))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xlam_lib.bench.base import TaskError
from xlam_lib.bench.evaluate import AnswersOf
from xlam_lib.chat_template import AFTER, BEFORE, model_text
from xlam_lib.codec import PromptStyle, prompts_of
from xlam_lib.trajectory import Trajectory

Shot = tuple[str, str]  # a prompt and its answer


def examples_of(
    trajectories: Iterable[Trajectory], style: PromptStyle, kinds: Sequence[str], tools: int = 3
) -> list[Shot]:
    """The first question of each kind (a trajectory's first tag) with at most `tools` tools, and its answer.

    Example: `examples_of(train, BRIEF_STYLE, ("single",))` -> [("[BEGIN OF TASK ...", '{"thought": "", ...}')]
    """
    found: dict[str, Shot] = {}
    for trajectory in trajectories:
        kind = trajectory.tags[0] if trajectory.tags else ""
        if kind in kinds and kind not in found and len(trajectory.tools) <= tools:
            found[kind] = prompts_of(trajectory, style)[0][1:]
        if len(found) == len(set(kinds)):
            return [found[kind] for kind in kinds]
    missing = [kind for kind in kinds if kind not in found]
    raise TaskError(f"no example of the kinds {', '.join(missing)} with at most {tools} tools among the trajectories")


def with_examples(
    answers_of: AnswersOf, shots: Sequence[Shot], eos: str, before: str = BEFORE, after: str = AFTER
) -> AnswersOf:
    """The function asked with the examples before each prompt: `with_examples(model.answers, shots, "<|im_end|>")`.

    `before` and `after` are what the function puts around a prompt by itself (`model.wrapper`).
    """
    text = "".join(model_text(prompt, answer, eos, before, after) + "\n" for prompt, answer in shots)
    opening = text.removeprefix(f"{before}\n") + f"{before}\n" if shots else ""
    return lambda prompts: answers_of([opening + prompt for prompt in prompts])
