"""Turns candidates into samples: generated in waves, executed in batches, checked; what fails is counted and replaced.

Used by `embedded.py`: `for slot, trajectory in produce(slots, executor, count)` gives one checked trajectory for each
slot, in order.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from xlam_lib.data.apigen.checks import calls_of, check_execution, check_format, check_meaning, check_split
from xlam_lib.data.apigen.generate import Dialogue, Rejected, World, candidate
from xlam_lib.data.apigen.library.spec import Request, ToolSpec
from xlam_lib.data.apigen.sandbox.executor import ExecutionError, Executor, result_of
from xlam_lib.trajectory import Outcome, Source, Trajectory

SOURCE = Source(name="xlam_embedded", license="Apache-2.0", converter="xlam_lib.data.apigen")
PASSED = {"format": True, "execution": True, "semantic": True}
MAX_TRIES = 400
WAVE = 400  # slots worked on at a time


@dataclass
class Count:
    """What became of the candidates of one file: accepted by kind, rejected by reason."""

    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    augmented: int = 0

    def to_dict(self) -> dict:
        """Totals that add up: candidates = accepted + rejected."""
        accepted, rejected = sum(self.accepted.values()), sum(self.rejected.values())
        return {
            "candidates": accepted + rejected,
            "accepted": accepted,
            "rejected": rejected,
            "accepted_by_kind": dict(sorted(self.accepted.items())),
            "augmented": self.augmented,
            "rejected_by_reason": dict(sorted(self.rejected.items())),
        }


@dataclass
class Slot:
    """A place in a file for a sample of some kind; its random generator makes it independent of all others."""

    number: int
    kind: str
    world: World
    rng: random.Random
    split: str


def _write(slot: Slot, dialogue: Dialogue, specs: list[ToolSpec]) -> Trajectory:
    name = f"embedded-{slot.split}-{slot.number:05d}"
    return Trajectory(
        trajectory_id=name,
        source=replace(SOURCE, raw_id=name, split=slot.split),
        tools=tuple(spec.schema for spec in specs),
        steps=tuple(dialogue.steps),
        outcome=Outcome(success=True, termination="success", checks=dict(PASSED)),
        split=slot.split,
        tags=(slot.kind, *dict.fromkeys(spec.domain for spec in dialogue.gold.values())),
    )


def _resume(running: list, answers: list[list[dict]], finished: dict, count: Count) -> list:
    """Advances each candidate with the answers to its calls; returns those that call more: (slot, generator, calls)."""
    waiting = []
    for (slot, making), got in zip(running, answers, strict=True):
        try:
            waiting.append((slot, making, making.send([result_of(answer) for answer in got] if got else None)))
        except StopIteration as stop:
            finished[slot.number] = stop.value
        except ExecutionError as error:
            count.rejected[f"execution: {str(error).split(':')[0]}"] += 1
    return waiting


def _generate(slots: Sequence[Slot], executor: Executor, count: Count) -> dict[int, tuple[Dialogue, list[ToolSpec]]]:
    """One candidate for each slot, as far as its calls run; all calls of a round go to the child in one batch."""
    finished: dict[int, tuple[Dialogue, list[ToolSpec]]] = {}
    running = [(slot, candidate(slot.rng, slot.world, slot.kind)) for slot in slots]
    answers: list[list[dict]] = [[] for _ in running]
    while running:
        waiting = _resume(running, answers, finished, count)
        answers = _grouped(executor, [calls for _, _, calls in waiting])
        running = [(slot, making) for slot, making, _ in waiting]
    return finished


def _grouped(executor: Executor, groups: list[list[Request]]) -> list[list[dict]]:
    answers = iter(executor.batch([request for group in groups for request in group]))
    return [[next(answers) for _ in group] for group in groups]


def _attempt(slots: Sequence[Slot], executor: Executor, count: Count, asked: set[str]) -> dict[int, Trajectory]:
    """One candidate for each slot, checked; returns those that pass, by slot number."""
    finished = _generate(slots, executor, count)
    made = {slot.number: _write(slot, *finished[slot.number]) for slot in slots if slot.number in finished}
    requests = []
    for slot in slots:
        if slot.number in made:
            specs = {spec.name: spec for spec in finished[slot.number][1]}
            requests.append([specs[call.name].request(call.arguments) for call in calls_of(made[slot.number])])
    answers = dict(zip(made, _grouped(executor, requests), strict=True))
    passed = {}
    for slot in slots:
        if slot.number not in made:
            continue
        trajectory = made[slot.number]
        try:
            check_format(trajectory)
            check_execution(trajectory, answers[slot.number])
            check_split(trajectory, slot.world.half)
            check_meaning(trajectory, slot.kind)
            if trajectory.steps[0].content in asked:
                raise Rejected("duplicate request")
        except Rejected as error:
            count.rejected[str(error)] += 1
        else:
            asked.add(trajectory.steps[0].content)
            count.accepted[slot.kind] += 1
            passed[slot.number] = trajectory
    return passed


def produce(slots: Sequence[Slot], executor: Executor, count: Count) -> Iterator[tuple[Slot, Trajectory]]:
    """A checked trajectory for each slot, in order; candidates that fail are counted by reason and replaced."""
    asked: set[str] = set()
    for start in range(0, len(slots), WAVE):
        wave = list(slots[start : start + WAVE])
        done: dict[int, Trajectory] = {}
        for _ in range(MAX_TRIES):
            done |= _attempt([slot for slot in wave if slot.number not in done], executor, count, asked)
            if len(done) == len(wave):
                break
        else:
            missing = next(slot for slot in wave if slot.number not in done)
            raise RuntimeError(
                f"{missing.split} {missing.number}: no {missing.kind} sample passed the checks in {MAX_TRIES} tries: "
                f"{dict(count.rejected)}"
            )
        yield from ((slot, done[slot.number]) for slot in wave)
