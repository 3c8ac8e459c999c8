"""The options of `python -m xlam_lib.teach` (notebook 07); nothing here loads torch.

TeachSettings(("my_tools", "petstore.yaml"), "runs/mine", base="tiny")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xlam_lib.settings import COUNT, NOT_NEGATIVE, POSITIVE, SEED, SHARE, option


@dataclass(frozen=True)
class TeachSettings:
    """All options of a run; the command line is made of them."""

    tools: tuple[str, ...] = option(..., "modules (my_tools, my_tools:weather) and OpenAPI documents (petstore.yaml)")
    out: str = option(..., "folder of the run; the model is in its folder `model`")
    base: str = option("smollm2-135m-fc", "what to start from: name of a base, folder, or ORG/NAME of the hub")
    questions: int = option(0, "questions to learn from (0: 110 a tool, at least 400)", within=NOT_NEGATIVE)
    tests: int = option(100, "questions kept for the test, in other words and with other values", within=COUNT)
    questions_per_list: int = option(16, "questions that share a list of tools, which is read once", within=COUNT)
    refusals: float = option(0.15, "share of questions that no listed tool can serve", within=SHARE)
    distractors: float = option(0.5, "share of lists in which tools stand that aren't yours", within=SHARE)
    base_url: str = option("", "of an OpenAI-compatible endpoint whose model writes the questions, ends with /v1")
    model: str = option("", "that model's name; without it templates write the questions")
    lr: float = option(1e-4, "peak learning rate", within=POSITIVE)
    lists_per_step: int = option(1, "lists of tools a step of the training reads", within=COUNT)
    max_length: int = option(3072, "samples of more tokens are left out, and counted", within=COUNT)
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "float32", "bfloat16 is faster on a GPU, and on a CPU with instructions for tiles (AMX)"
    )
    processes: int = option(
        0, "processes that train (0: two where there are two cores and lists a step)", within=NOT_NEGATIVE
    )
    seed: int = option(0, "of questions, order and test", within=SEED)
