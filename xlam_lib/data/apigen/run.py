"""APIGen over your own functions: samples that were executed and checked, one JSON object a line (notebook 01).

    python -m xlam_lib.data.apigen.run --functions my_module --openapi petstore.yaml --count 100 --out DIR
    python -m xlam_lib.data.apigen.run --embedded --count 100 --base-url http://127.0.0.1:8000/v1 --model M --out DIR
    python -m xlam_lib.data.apigen.run --multi-turn 20 --out DIR

Templates and rules write and check unless a model is named. The folder appears whole or not at all: `samples.jsonl`,
`failures.jsonl` (each text that failed, with stage and reason) and `accounting.json`. Without a model the same seed
gives the same bytes. Functions run in a sandbox (`sandbox.py`); their modules are imported here, too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xlam_lib.data.apigen.apis import ApigenError, Library
from xlam_lib.data.apigen.checker import Both, Checker, ModelChecker, RuleChecker
from xlam_lib.data.apigen.generator import Generator, ModelGenerator, TemplateGenerator
from xlam_lib.data.apigen.sampler import KINDS, Sampler
from xlam_lib.data.apigen.sandbox.sandbox import Limits
from xlam_lib.data.apigen.stages import SOURCE, Pipeline
from xlam_lib.endpoint import Endpoint
from xlam_lib.errors import as_command
from xlam_lib.files import complete_dir, write_json
from xlam_lib.trajectory import Trajectory, write_jsonl

MAX_TOKENS = 1500  # of an answer; a query with its calls seldom has 300


@dataclass
class Settings:
    """What a run shall make: `Settings(Library.embedded(), count=100)`."""

    library: Library | None = None
    count: int = 0
    multi_turn: int = 0
    seed: int = 0
    attempts: int = 3
    kinds: dict[str, float] = field(default_factory=lambda: dict(KINDS))
    examples: list[dict[str, Any]] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    endpoint: Endpoint | None = None  # writes, and plays agent and user; None: templates and rules
    checker: Endpoint | None = None  # judges after the rules
    guided: bool = False
    proposes: bool = False
    license: str = "unknown"
    questions_per_list: int = 1  # single-turn samples that offer the same functions


def make(settings: Settings, out: str | Path) -> dict[str, Any]:
    """Makes the samples into a folder and returns the accounting.

    Example: `make(Settings(Library.embedded(), count=10), "runs/apigen")["single_turn"]["accepted"]` -> 10
    """
    if not settings.count + settings.multi_turn or (settings.count and settings.library is None):
        raise ApigenError("nothing to make: give a library and a count, or a number of conversations")
    endpoints = {id(one): one for one in (settings.endpoint, settings.checker) if one is not None}
    accounting: dict[str, Any] = {"seed": settings.seed, "attempts": settings.attempts}
    with contextlib.ExitStack() as stack, complete_dir(out) as folder:
        for endpoint in endpoints.values():
            stack.enter_context(endpoint)
        with open(folder / "failures.jsonl", "w", encoding="utf-8") as failures:
            write_jsonl(folder / "samples.jsonl", _all(settings, accounting, failures))
        for endpoint in endpoints.values():
            accounting.setdefault("tokens", {})[endpoint.model] = list(endpoint.tokens)
        write_json(folder / "accounting.json", accounting)
    return accounting


def _all(settings: Settings, accounting: dict[str, Any], failures: Any) -> Iterator[Trajectory]:
    if settings.count and settings.library is not None:
        yield from _single_turn(settings, settings.library, accounting, failures)
    if settings.multi_turn:
        yield from _multi_turn(settings, accounting)


def _single_turn(
    settings: Settings, library: Library, accounting: dict[str, Any], failures: Any
) -> Iterator[Trajectory]:
    sampler = Sampler(
        library, settings.seed, settings.kinds, settings.examples, questions_per_list=settings.questions_per_list
    )
    plans = sampler.plans(settings.count)
    generator: Generator = TemplateGenerator(library)
    if settings.endpoint is not None:
        generator = ModelGenerator(library, settings.endpoint, settings.guided)
    checker: Checker = RuleChecker(library)
    if settings.checker is not None:
        checker = Both(checker, ModelChecker(library, settings.checker))
    source = replace(SOURCE, license=settings.license)

    def note(record: dict[str, Any]) -> None:
        failures.write(json.dumps(record, ensure_ascii=False) + "\n")

    with library.runner(settings.limits) as runner:
        pipeline = Pipeline(library, generator, checker, runner, settings.attempts, source, note)
        yield from (trajectory for _, trajectory in pipeline.run(plans) if trajectory is not None)
        accounting["network_held_by"] = sorted(runner.fences)
        accounting["held_by"] = runner.sandbox.held_by
    accounting["functions"] = len(library)
    accounting["single_turn"] = pipeline.tally.to_dict()


def _multi_turn(settings: Settings, accounting: dict[str, Any]) -> Iterator[Trajectory]:
    from xlam_lib.data.apigen.multi_turn.play import SOURCE as DESK
    from xlam_lib.data.apigen.multi_turn.produce import ModelPlayers, MultiTally, Players, RulePlayers
    from xlam_lib.data.apigen.multi_turn.produce import produce as play_all

    players: Players = RulePlayers(settings.seed)
    if settings.endpoint is not None:
        players = ModelPlayers(settings.endpoint, settings.seed, proposes=settings.proposes)
    source = replace(DESK, license=settings.license)
    tally = MultiTally()
    made = play_all(range(settings.multi_turn), players, tally, settings.attempts, source)
    yield from (trajectory for _, trajectory in made if trajectory is not None)
    accounting["multi_turn"] = tally.to_dict()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0, or 1 after an error, 3 when some plans were given up."""
    options = _parser().parse_args(arguments)
    sys.path.insert(0, "")  # modules of the folder one is in
    try:
        return as_command(lambda: _run(options), status=1)
    finally:
        sys.path.remove("")


def _run(options: argparse.Namespace) -> int:
    accounting = make(_settings(options), options.out)
    print(json.dumps(accounting))
    single, multi = accounting.get("single_turn", {}), accounting.get("multi_turn", {})
    return 3 if single.get("given_up") or multi.get("given_up") else 0


def _settings(options: argparse.Namespace) -> Settings:
    from xlam_lib.data.apigen.openapi import read_openapi

    libraries = [Library.of_module(name) for name in options.functions]
    libraries += [read_openapi(path) for path in options.openapi]
    libraries += [Library.embedded()] if options.embedded else []
    library = Library([api for one in libraries for api in one]) if libraries else None
    if options.count and library is None:
        raise ApigenError("--count needs functions: give --functions, --openapi or --embedded")
    endpoint = _endpoint(options, options.base_url, options.model, options.temperature)
    checker = _endpoint(options, options.checker_base_url or options.base_url, options.checker_model, 0.0)
    examples = _examples(Path(options.examples)) if options.examples else []
    kinds = {kind: KINDS[kind] for kind in options.kinds} if options.kinds else dict(KINDS)
    return Settings(
        library, options.count, options.multi_turn, options.seed, options.attempts, kinds, examples,
        Limits(seconds=options.call_seconds, memory_mb=options.memory_mb), endpoint, checker, options.guided,
        options.model_blueprints, options.license, options.questions_per_list,
    )  # fmt: skip


def _endpoint(options: argparse.Namespace, base_url: str, model: str, temperature: float) -> Endpoint | None:
    if not model:
        return None
    if not base_url:
        raise ApigenError("a model needs an address: give --base-url")
    shared = {"api_key_env": options.api_key_env, "concurrency": options.concurrency}
    return Endpoint(base_url, model, temperature=temperature, max_tokens=MAX_TOKENS, **shared)


def _examples(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise ApigenError(f"{path}: expected one JSON object a line ({error})") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.apigen.run", description="Make and check samples.")
    add = parser.add_argument
    add("--out", required=True, help="folder to write, whole or not at all")
    add("--functions", action="append", default=[], help="module, or module:function; may be given again")
    add("--openapi", action="append", default=[], help="OpenAPI 3 document, JSON or YAML; may be given again")
    add("--embedded", action="store_true", help="the executable tools of the embedded data")
    add("--count", type=int, default=0, help="single-turn samples to plan")
    add("--multi-turn", type=int, default=0, help="conversations over the mock domain to plan")
    add("--questions-per-list", type=int, default=1, help="single-turn samples that offer the same functions (1)")
    add("--kinds", nargs="+", choices=sorted(KINDS), help="of single-turn samples (all)")
    add("--seed", type=int, default=0)
    add("--attempts", type=int, default=3, help="texts, or episodes, before a plan is given up (3)")
    add("--examples", help="JSON Lines of {query, tool_calls} that a model is shown")
    add("--base-url", default="", help="of an OpenAI-compatible endpoint, ends with /v1")
    add("--model", default="", help="writes queries and calls, plays agent and user; without it templates and rules do")
    add("--checker-model", default="", help="judges, after the rules, whether calls serve the query")
    add("--checker-base-url", default="", help="where that one is, if elsewhere")
    add("--model-blueprints", action="store_true", help="the model proposes the conversations' blueprints, too")
    add("--guided", action="store_true", help="the endpoint holds the model to the JSON Schema of an answer")
    add("--api-key-env", default="OPENAI_API_KEY", help="environment variable with the key (OPENAI_API_KEY)")
    add("--concurrency", type=int, default=8, help="requests on their way at once (8)")
    add("--temperature", type=float, default=0.7, help="of the writing model (0.7); below 0: left to the endpoint")
    add("--call-seconds", type=float, default=5.0, help="time a call may take (5)")
    add("--memory-mb", type=int, default=1024, help="memory a call may use (1024)")
    add("--license", default="unknown", help="of what is made, noted in each sample (unknown)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
