"""Questions about one's own tools: written by templates or a model, executed, checked, some kept for the test.

    library = library_of(["my_tools", "petstore.yaml"])
    files = questions(library, TeachSettings(("my_tools",), "runs/mine"), Path("runs/mine/data"))["train"]

Several questions stand on one list of tools, so that training reads the list once. A list has all the tools or some of
them in any order, and in half of the lists a few tools of the embedded library beside them; some questions of the
training are about these, so that the model keeps reading the list. Questions that no listed tool can serve are about a
tool of one's own that is left out, or about something else. Questions of the test are asked in wordings that training
never saw (`data/apigen/phrases.py`), and none of them is a question of the training. Used by `course.py`.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from xlam_lib.data.apigen.apis import ApigenError, Library
from xlam_lib.data.apigen.checker import RuleChecker
from xlam_lib.data.apigen.generator import Generator, ModelGenerator, TemplateGenerator
from xlam_lib.data.apigen.openapi import read_openapi
from xlam_lib.data.apigen.phrases import Half
from xlam_lib.data.apigen.sampler import Plan
from xlam_lib.data.apigen.stages import SOURCE, Pipeline
from xlam_lib.endpoint import Endpoint
from xlam_lib.files import complete_dir, write_json
from xlam_lib.teach.settings import TeachSettings
from xlam_lib.trajectory import Trajectory, write_jsonl

KINDS = {"multiple": 0.66, "parallel": 0.17, "parallel_multiple": 0.17}  # of those that can be served
DOCUMENTS = (".json", ".yaml", ".yml")
A_TOOL, AT_LEAST = 110, 400  # questions for each tool, and in all
WHOLE = 12  # so many tools may all stand in a list
SIZES = (3, 4, 5, 6, 7, 8)  # of a list that has some of them
BESIDE = (1, 2, 3)  # tools of others in a list that has some
ABOUT_OTHERS = 0.3  # of the questions on a list with tools of others
FOREIGN = 0.6  # of the questions that can't be served: about something else than one's own tools
MORE = 3  # times as many test questions are drawn as are kept, since some come in training, too


def library_of(names: Iterable[str]) -> Library:
    """The tools of modules and OpenAPI documents: `library_of(["my_tools:weather", "petstore.yaml"])`."""
    libraries = [read_openapi(name) if name.endswith(DOCUMENTS) else Library.of_module(name) for name in names]
    return Library([api for one in libraries for api in one])


def questions(library: Library, settings: TeachSettings, folder: Path) -> dict[str, Path]:
    """Writes train.jsonl, test.jsonl and accounting.json into a folder that appears whole; their paths by name."""
    paths = {name: folder / f"{name}.jsonl" for name in ("train", "test")} | {"accounting": folder / "accounting.json"}
    count = settings.questions or max(AT_LEAST, A_TOOL * len(library))
    accounting: dict[str, Any] = {"tools": [api.name for api in library], "seed": settings.seed}
    with complete_dir(folder, {"questions": count, "tests": settings.tests}) as work:
        train = list(_made(library, settings, "train", count, accounting))
        known = set(map(_question, train))
        tests = _made(library, settings, "test", settings.tests * MORE, accounting)
        test = [one for one in tests if _question(one) not in known][: settings.tests]
        if not train or not test:
            raise ApigenError(f"no question passed the checks: {json.dumps(accounting)[:2000]}")
        accounting |= {"trained": len(train), "tested": len(test)}
        write_jsonl(work / paths["train"].name, train)
        write_jsonl(work / paths["test"].name, test)
        write_json(work / paths["accounting"].name, accounting)
    return paths


def digest_of(library: Library) -> str:
    """What tells libraries apart, by what a model learns of them: `digest_of(library)` -> '9f2c81d4a0b3e657'."""
    tools = [[api.tool.to_dict(), list(api.questions)] for api in library]
    return hashlib.sha256(json.dumps(tools, sort_keys=True).encode()).hexdigest()[:16]


def _made(
    library: Library, settings: TeachSettings, half: Half, count: int, accounting: dict[str, Any]
) -> Iterator[Trajectory]:
    """The questions of a half that pass all checks, in the order of their lists."""
    everything = library + others(library)
    generator: Generator = TemplateGenerator(everything, half)
    if settings.model:
        generator = ModelGenerator(everything, Endpoint(settings.base_url, settings.model, temperature=0.8))
    with everything.runner() as runner:
        source = replace(SOURCE, name=f"own_{half}")
        pipeline = Pipeline(everything, generator, RuleChecker(everything), runner, source=source)
        made = pipeline.run(list(plans(library, settings, half, count)))
        yield from (one for _, one in made if one is not None)
        accounting[half] = pipeline.tally.to_dict()


def others(library: Library) -> Library:
    """The embedded tools that aren't called like one of these."""
    return Library(api for api in Library.embedded() if api.name not in library.by_name)


def plans(library: Library, settings: TeachSettings, half: Half, count: int) -> Iterator[Plan]:
    """What is asked on which list of tools; lists follow one another, each with its questions."""
    everything = library + others(library)
    foreign = [name for name in everything.by_name if name not in library.by_name]
    for number in range(count):
        lap, place = divmod(number, settings.questions_per_list)
        rng = random.Random(f"{settings.seed}:{half}:list:{lap}")
        offered, own = _listed(rng, library, foreign, settings.distractors)
        beside = [name for name in offered if name not in library.by_name]
        rng = random.Random(f"{settings.seed}:{half}:question:{number}")
        if rng.random() < settings.refusals:
            absent = [name for name in library.by_name if name not in own]
            if not absent or rng.random() < FOREIGN:
                absent = [name for name in foreign if name not in offered]
            yield Plan(number, "irrelevant", (), offered, rng.choice(absent))
        else:
            kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
            asked = beside if half == "train" and beside and rng.random() < ABOUT_OTHERS else own
            yield Plan(number, kind, _expected(rng, everything, asked, kind, place), offered)


def _listed(rng: random.Random, library: Library, foreign: list[str], distractors: float) -> tuple[Any, list[str]]:
    """(the tools of a list in order, those of them that are one's own, in the order in which they are asked for)."""
    names = list(library.by_name)
    own = names if len(names) <= WHOLE and rng.random() < 0.5 else rng.sample(names, min(rng.choice(SIZES), len(names)))
    beside = rng.sample(foreign, rng.choice(BESIDE)) if rng.random() < distractors else []
    offered = [*own, *beside]
    rng.shuffle(offered)
    return tuple(offered), rng.sample(own, len(own))


def _expected(rng: random.Random, library: Library, own: list[str], kind: str, place: int) -> tuple[str, ...]:
    """The tools to be called: each of a list comes first about equally often."""
    first = own[place % len(own)]
    count = 2 if rng.random() < 0.8 else 3
    if kind == "parallel" and library[first].tool.parameters.get("properties"):
        return (first,) * count
    if kind == "parallel_multiple" and len(own) > 1:
        return (first, *rng.sample([name for name in own if name != first], min(count, len(own)) - 1))
    return (first,)


def _question(trajectory: Trajectory) -> str:
    """What makes a question the same: its words."""
    return " ".join(trajectory.steps[0].content.casefold().split())
