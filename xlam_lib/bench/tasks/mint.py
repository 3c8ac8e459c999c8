"""MINT-Bench: how many problems a model solves within k turns, with Python at hand (Wang et al. 2023, 2309.10691).

Used by notebook 05. Its items are our own problems of MINT's families, or the original's where the user has its files;
each is played in `environments/mint/`. A model may use at most 5 turns, 2 of them to propose a solution.

    task = Mint()                                            # our own problems; Mint("mint-bench/data/processed")
    item = task.items()[0]
    episode = run(rollout(task.expert(item), task.environment(item), item.task))
    task.score(item, episode)["within_2"]                    # True: solved in its second turn
    success_rates(read_reduced("reduced_results.jsonl.gz"))  # {"claude-2": {1: 26.45, ..., 5: 39.93}, ...}

The paper runs each k by itself, with k turns announced: `Mint(max_steps=3)`. `within_1` to `within_5` of one run of 5
turns show the same curve for the price of one run; they may differ, as a model plans by the turns that it is given.
Own problems are judged strictly, the original's by MINT's rule, which its published numbers have; `strict` says how
many of these solutions the strict rule takes, too (`environments/mint/checkers.py`).
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlam_lib.agents.base import Action, Agent, Observation
from xlam_lib.bench.base import Figure, Row, Task, TaskError
from xlam_lib.data.apigen.sandbox import Interpreter
from xlam_lib.environments.mint import ACTIONS, MintEnvironment, Problem, embedded_problems, is_right, read_problems
from xlam_lib.environments.mint.environment import SOLUTIONS, STEPS
from xlam_lib.environments.mint.problems import CODE
from xlam_lib.schema import Step
from xlam_lib.schema import Task as Instruction
from xlam_lib.trajectory import Trajectory

WITHIN = tuple(f"within_{k}" for k in range(1, STEPS + 1))
LOOP = 3  # runs of the same code that make a loop


@dataclass(frozen=True)
class Item:
    """One problem as an item: `Item(embedded_problems()[0]).kind` -> "gsm8k"."""

    problem: Problem

    @property
    def id(self) -> str:
        return self.problem.id

    @property
    def kind(self) -> str:
        """MINT's family."""
        return self.problem.family

    @property
    def task(self) -> Instruction:
        """What the environment is reset with."""
        return self.problem.task


class Mint(Task):
    """MINT-Bench: `Mint(split="train")`, or `Mint(path)` of the original's files.

    `expert` is an agent that gives feedback after each turn. One interpreter serves all environments; `close` ends it.
    """

    name, title = "mint", "MINT-Bench"
    metric = (
        "Share of the problems solved within k turns (micro average over all problems); a turn runs Python or "
        "proposes a solution, of which there may be two."
    )
    differs = (
        "problems are our own unless the original's are given, without ALFWorld and without Wikipedia; `within_k`"
        " comes from one run of five turns, where the paper ran each k anew"
    )
    scores = ("success", *WITHIN, "strict")
    figures = tuple(Figure(f"mint.{name}", "05_benchmarking") for name in WITHIN)
    published = ("mint",)

    def __init__(
        self,
        path: str | Path | None = None,
        split: Literal["train", "test"] = "test",
        *,
        strict: bool | None = None,
        max_steps: int = STEPS,
        expert: Agent | None = None,
    ) -> None:
        problems = read_problems(path) if path else [one for one in embedded_problems() if one.split == split]
        if not problems:
            raise TaskError(f"task mint: no problems of split {split!r}; expected 'train' or 'test'")
        self._items = [Item(problem) for problem in problems]
        self.strict = path is None if strict is None else strict
        self.max_steps, self.max_solutions = max_steps, min(SOLUTIONS, max_steps)  # one turn has one, as in MINT
        self._feedback, self._python = expert, None

    @property
    def python(self) -> Interpreter:
        """The interpreter of all environments; its process starts with the first piece of code."""
        self._python = self._python or Interpreter()
        return self._python

    def close(self) -> None:
        """Ends the interpreter; a further environment would start another."""
        if self._python is not None:
            self._python.stop()
            self._python = None

    def items(self) -> Sequence[Item]:
        return self._items

    def environment(self, item: Item) -> MintEnvironment:
        return MintEnvironment(
            item.problem,
            self.python,
            max_steps=self.max_steps,
            max_solutions=self.max_solutions,
            expert=self._feedback,
            strict=self.strict,
        )

    def expert(self, item: Item) -> Agent:
        """An agent that solves one of our own problems: it runs a program, then proposes what that printed."""
        if not item.problem.code:
            raise TaskError(f"task mint: {item.id} has no known solution; only our own problems have one")
        return Expert(item.problem)

    def score(self, item: Item, episode: Trajectory, cut_off: bool = False) -> Row:
        """The row of an episode: in which turn it was solved, and what went wrong where it wasn't."""
        turns = [step for step in episode.steps if step.role == "assistant"]
        proposed = [answer for step in turns if (answer := _proposed(step))]
        success = episode.outcome.success is True
        strict = success and (self.strict or item.kind in CODE or is_right(item.problem, proposed[-1], self.python))
        return {
            "id": item.id,
            "kind": item.kind,
            "reward": float(success),
            "success": success,
            "strict": strict,
            **{name: success and len(turns) <= k for k, name in enumerate(WITHIN, start=1)},
            "failure": "" if success else _failure(episode, turns, bool(proposed), self.max_steps),
            "turns": len(turns),
            "answer": proposed[-1] if proposed else "",
        }


TASK = Mint


class Expert:
    """The scripted expert of a problem of our own; it proposes what its program printed, or the program itself."""

    name = "expert"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        if not history:
            shown = f"\n{self.problem.entry}(*{self.problem.reference[0][0]!r})" if self.problem.entry else ""
            return Action.call("python", code=self.problem.code + shown)
        if self.problem.entry:
            return Action.call("solution", answer=self.problem.code)
        printed = observation.steps[0].content.removeprefix("Observation:\n").rpartition("\nYou have ")[0]
        return Action.call("solution", answer=printed)


def _proposed(step: Step) -> str:
    """The solution that a turn proposes, "" where it proposes none."""
    found = [call.arguments.get("answer") for call in step.tool_calls if call.name == "solution"]
    if step.tool_calls:
        return "\n".join(answer for answer in found if isinstance(answer, str))
    name, arguments = ACTIONS.parse(step.content) or ("", {})
    return arguments["answer"] if name == "solution" else ""


def _failure(episode: Trajectory, turns: Sequence[Step], proposed: bool, max_steps: int) -> str:
    """One of the runner's kinds of failure; a wrong solution is one even if turns were left for others."""
    if proposed:
        return "wrong_answer"
    codes = Counter(str(call.arguments.get("code")) for step in turns for call in step.tool_calls)
    if codes and codes.most_common(1)[0][1] >= LOOP:
        return "loop"
    ran = [step for step in turns if step.tool_calls or ACTIONS.parse(step.content)]
    if not ran or "error" in episode.extra:
        return "bad_format"
    return "max_steps" if len(turns) >= max_steps else "gave_up"


def read_reduced(path: str | Path) -> Iterator[dict[str, Any]]:
    """Rows of recorded runs, one a line of JSON, packed or not: {"model": "claude-2", "k": 5, "success": true, ...}."""
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise TaskError(f"{path}:{number}: not a line of JSON ({error}); is the file cut off?") from error


def success_rates(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Of runs with k turns the share solved in percent, by model and k, as the published table rounds it.

    All problems count alike (micro average), those that an error of the run cut short as not solved. Example:
    `success_rates([{"model": "m", "k": 1, "success": True}])` -> {"m": {1: 100.0}}
    """
    runs: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        runs[row["model"]][row["k"]].append(bool(row["success"]))
    return {
        model: {k: round(100 * sum(solved) / len(solved), 2) for k, solved in sorted(by_k.items())}
        for model, by_k in runs.items()
    }
