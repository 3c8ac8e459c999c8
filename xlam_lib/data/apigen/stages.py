"""The three stages of APIGen, with failures fed back: format -> execution -> meaning (notebook 01).

    with library.runner() as runner:
        pipeline = Pipeline(library, TemplateGenerator(library), RuleChecker(library), runner)
        samples = [trajectory for plan, trajectory in pipeline.run(sampler.plans(100)) if trajectory]

*Format*: one JSON object with a query and calls, of functions that are offered and as the plan expects them, arguments
as the schema has them. *Execution*: every call runs, without an error and with a result. *Meaning*: a checker says that
the calls serve the query; by rule (values stand in the query, nothing is called twice, no other function fits) or by a
model. A text that fails is sent back to its generator with the stage and the reason, some times; then its plan is given
up. Every text and every plan is accounted for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.data.apigen.apis import Library, Runner
from xlam_lib.data.apigen.checker import Checker, Sample
from xlam_lib.data.apigen.generate import NO_TOOL
from xlam_lib.data.apigen.generator import Generator, Task
from xlam_lib.data.apigen.sampler import Plan
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Outcome, Source, Step, ToolCall, Trajectory
from xlam_lib.validation import argument_problems

STAGES = ("generation", "format", "execution", "semantic", "duplicate")
LONGEST = 20_000  # characters of a text; no sample is longer
WAVE = 64  # plans worked on at a time
FEWEST_LOST = 8  # plans without any text, all of a wave, after which a run stops and keeps what it has
SOURCE = Source("apigen", "unknown", converter="xlam_lib.data.apigen.run")


class Failed(XlamError, ValueError):
    """A text that fails a stage: `Failed("format", "no JSON", "it starts with 'Sure'")`; `kind` is what is counted."""

    def __init__(self, stage: str, kind: str, detail: str = "") -> None:
        super().__init__(f"{stage} check: {kind}" + (f" ({detail})" if detail else ""))
        self.stage, self.kind, self.detail = stage, kind, detail


@dataclass
class Tally:
    """What became of texts and plans: texts = accepted + failed, plans = accepted + given up."""

    plans: int = 0
    texts: int = 0
    accepted: Counter[str] = field(default_factory=Counter)  # by kind
    attempts: Counter[int] = field(default_factory=Counter)  # of the accepted ones
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)  # by the last stage that failed
    stopped: str = ""  # why later plans were not even begun

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the stages in their order, each with its reasons."""
        stages = {
            stage: {kind: n for (one, kind), n in sorted(self.failed.items()) if one == stage} for stage in STAGES
        }
        return {
            "plans": self.plans,
            "texts": self.texts,
            "accepted": sum(self.accepted.values()),
            "given_up": sum(self.given_up.values()),
            "accepted_by_kind": dict(sorted(self.accepted.items())),
            "accepted_by_attempt": {str(n): count for n, count in sorted(self.attempts.items()) if count},
            "given_up_by_stage": dict(sorted(self.given_up.items())),
            "failed": sum(self.failed.values()),
            "failed_by_stage": {stage: kinds for stage, kinds in stages.items() if kinds},
            **({"stopped": self.stopped} if self.stopped else {}),
        }


def parse(text: str, plan: Plan, library: Library) -> tuple[str, list[dict[str, Any]]]:
    """The format stage: (query, calls) of a text, or Failed.

    Example: `parse('{"query": "Hi", "tool_calls": []}', plan, library)` -> ("Hi", []) for an irrelevant plan
    """
    value = _object(text)
    if value.keys() != {"query", "tool_calls"}:
        raise Failed("format", "other keys", f"found {', '.join(map(repr, value))}, expected 'query', 'tool_calls'")
    query, calls = value["query"], value["tool_calls"]
    if not isinstance(query, str) or not query.strip():
        raise Failed("format", "no query", "'query' is to be a text")
    if not isinstance(calls, list):
        raise Failed("format", "calls are no list", f"found {type(calls).__name__}")
    for call in calls:
        if not isinstance(call, dict) or call.keys() != {"name", "arguments"}:
            raise Failed("format", "a call of another shape", "expected {'name': ..., 'arguments': {...}}")
        if call["name"] not in plan.offered:
            raise Failed("format", "function not offered", f"{call['name']!r} is none of {', '.join(plan.offered)}")
        if not isinstance(call["arguments"], dict):
            raise Failed("format", "arguments are no object", str(call["name"]))
        if problems := argument_problems(library[call["name"]].tool, call["arguments"]):
            raise Failed("format", "arguments against the schema", "; ".join(problems)[:500])
    if Counter(call["name"] for call in calls) != Counter(plan.expected):
        made = ", ".join(call["name"] for call in calls) or "nothing"
        raise Failed("format", "other calls than planned", f"{made} instead of {', '.join(plan.expected) or 'nothing'}")
    return query.strip(), calls


def _object(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise Failed("format", "too long", f"{len(text)} characters")
    body = text.strip()
    if body.startswith("```") and body.endswith("```"):
        body = body.strip("`").removeprefix("json")
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Failed("format", "no JSON", f"{error}: {text[:80]!r}") from error
    if not isinstance(value, dict):
        raise Failed("format", "no JSON object", f"found {type(value).__name__}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def execute(calls: Sequence[dict[str, Any]], runner: Runner) -> list[Any]:
    """The execution stage: the results of all calls, or Failed with the first error."""
    results = []
    for call in calls:
        answer = runner.run(call["name"], call["arguments"])
        if "error" in answer:
            kind = answer["error"].partition(":")[0]
            raise Failed("execution", kind, f"{call['name']}: {answer['error']}"[:500])
        if answer["result"] in (None, "", [], {}):
            raise Failed("execution", "empty result", f"{call['name']} found nothing with these arguments")
        results.append(answer["result"])
    return results


Failure = tuple[Task, str, Failed]


@dataclass
class Pipeline:
    """All stages: `Pipeline(library, TemplateGenerator(library), RuleChecker(library), runner).run(plans)`."""

    library: Library
    generator: Generator
    checker: Checker
    runner: Runner
    attempts: int = 3  # texts for one plan
    source: Source = SOURCE
    note: Callable[[dict[str, Any]], None] | None = None  # is given a record of each text that failed
    tally: Tally = field(default_factory=Tally)
    queries: set[str] = field(default_factory=set)  # those that were accepted

    def run(self, plans: Sequence[Plan]) -> Iterator[tuple[Plan, Trajectory | None]]:
        """Each plan with its sample, or None when all attempts failed; stops when the generator gives nothing more."""
        for start in range(0, len(plans), WAVE):
            wave = plans[start : start + WAVE]
            done, failing = self._wave(wave)
            yield from ((plan, done.get(plan.number)) for plan in wave)
            lost = [failure for failure in failing if failure.stage == "generation"]
            if len(lost) == len(wave) and len(lost) >= min(FEWEST_LOST, len(plans)):
                self.tally.stopped = f"the generator gave nothing any more: {lost[-1].detail}"
                return

    def _wave(self, wave: Sequence[Plan]) -> tuple[dict[int, Trajectory], list[Failed]]:
        """(samples by plan, the last failures of the plans given up)."""
        self.tally.plans += len(wave)
        done: dict[int, Trajectory] = {}
        tasks, failures = [Task(plan) for plan in wave], []
        for attempt in range(1, self.attempts + 1):
            failures = self._attempt(tasks, attempt, done)
            self.tally.texts += len(tasks)
            self.tally.attempts[attempt] += len(tasks) - len(failures)
            for task, text, failure in failures:
                self._fed_back(task, text, failure, attempt)
            tasks = [task for task, _, _ in failures]
            if not tasks:
                break
        self.tally.accepted.update(plan.kind for plan in wave if plan.number in done)
        self.tally.given_up.update(failure.stage for _, _, failure in failures)
        return done, [failure for _, _, failure in failures]

    def _fed_back(self, task: Task, text: str, failure: Failed, attempt: int) -> None:
        self.tally.failed[failure.stage, failure.kind] += 1
        if failure.stage != "generation":  # nothing was written, so there is nothing to fix
            task.tried.append((text, str(failure)))
        if self.note is not None:
            facts = {"stage": failure.stage, "kind": failure.kind, "detail": failure.detail, "text": text}
            self.note({"plan": task.plan.number, "attempt": attempt, **facts})

    def _attempt(self, tasks: Sequence[Task], attempt: int, done: dict[int, Trajectory]) -> list[Failure]:
        """Writes and checks one text for each task; the good ones go to `done`, the others come back, in order."""
        failures: dict[int, Failure] = {}
        samples: list[tuple[Task, str, Sample]] = []
        texts = self.generator.write(tasks)
        errors = getattr(self.generator, "errors", {})
        for task, text in zip(tasks, texts, strict=True):
            try:
                if error := errors.get(task.plan.number):
                    raise Failed("generation", "no answer", error)
                query, calls = parse(text, task.plan, self.library)
                samples.append((task, text, Sample(task.plan, query, calls, execute(calls, self.runner))))
            except Failed as failure:
                failures[task.plan.number] = (task, text, failure)
        verdicts = self.checker.check([sample for _, _, sample in samples]) if samples else []
        for (task, text, sample), (kind, detail) in zip(samples, verdicts, strict=True):
            key = " ".join(sample.query.casefold().split())
            if kind:
                failures[task.plan.number] = (task, text, Failed("semantic", kind, detail))
            elif key in self.queries:
                failures[task.plan.number] = (task, text, Failed("duplicate", "query was there before"))
            else:
                self.queries.add(key)
                done[task.plan.number] = to_trajectory(sample, self.library, self.source, attempt, self.generator.name)
        return [failures[task.plan.number] for task in tasks if task.plan.number in failures]


def to_trajectory(sample: Sample, library: Library, source: Source, attempt: int, by: str) -> Trajectory:
    """A sample as a trajectory, e.g. with the id "apigen/000007"."""
    plan = sample.plan
    calls = tuple(
        ToolCall(call["name"], call["arguments"], f"call_{number}") for number, call in enumerate(sample.calls)
    )
    steps = [Step("user", sample.query), Step("assistant", "" if calls else NO_TOOL, tool_calls=calls)]
    for call, result in zip(calls, sample.results, strict=True):
        steps.append(Step("tool", json.dumps(result, ensure_ascii=False), tool_call_id=call.id, name=call.name))
    groups = dict.fromkeys(library[name].group for name in plan.expected)
    raw_id = f"{plan.number:06d}"
    made = Trajectory(
        trajectory_id=f"{source.name}/{raw_id}",
        source=Source.from_dict({**source.to_dict(), "raw_id": raw_id}),
        tools=tuple(library[name].tool for name in plan.offered),
        steps=tuple(steps),
        outcome=Outcome(True, termination="success", checks={"format": True, "execution": True, "semantic": True}),
        tags=tuple(dict.fromkeys((plan.kind, *groups))),
        extra={"generator": by, "attempts": attempt},
    )
    made.validate()
    return made
