"""ToolBench, judged as ToolEval does: queries over web APIs, answered by a virtual API server (notebook 05).

After ToolBench (https://arxiv.org/abs/2307.16789) and StableToolBench (https://arxiv.org/abs/2403.07714). Without a
path the queries are those of our own collection (`environments/tooleval/embedded.py`); with the path of
StableToolBench's files they are the published ones, answered from its recorded answers:

    task = ToolEvalTask()                                        # or ToolEvalTask("StableToolBench", server=...)
    item = task.items()[0]
    trajectory = run(rollout(agent, task.environment(item), item.task, task.max_steps))
    task.score(item, trajectory)       # {"id": "G1_instruction/0", "kind": "Unseen Insts & Same Set", "success": ...}

Success is the pass by rule (`verdicts.py`). With a judge, as the published figures have one, `judged` is the mean of
its votes. Figures by the rule and by different judges can't be compared with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from xlam_lib.agents.base import Action, Observation
from xlam_lib.bench.base import Figure, Row, Task, TaskError
from xlam_lib.endpoint import Endpoint
from xlam_lib.environments.tooleval import answers, embedded, verdicts
from xlam_lib.environments.tooleval.apis import Tree, read_tools
from xlam_lib.environments.tooleval.environment import MAX_STEPS, CallText, Server, ToolEval
from xlam_lib.environments.tooleval.queries import Query, read_queries
from xlam_lib.environments.tooleval.server import Recorded, VirtualServer
from xlam_lib.schema import Step, ToolCall
from xlam_lib.schema import Task as Goal
from xlam_lib.trajectory import Trajectory

QUERIES = ("solvable_queries/test_instruction", "test_instruction")  # below a path, or the path itself
TOOLS = ("server/tools", "toolenv/tools", "tools")
CACHE = ("server/tool_response_cache", "tool_response_cache")


@dataclass(frozen=True)
class Item:
    """One query; `calls` solve it, where that is known."""

    query: Query
    calls: tuple[ToolCall, ...] = ()

    @property
    def id(self) -> str:
        """That of the query: "G1_instruction/28"."""
        return self.query.id

    @property
    def kind(self) -> str:
        """The published column: "Unseen Insts & Same Set"."""
        return self.query.group

    @property
    def task(self) -> Goal:
        """What `environment.reset` is given."""
        return Goal(self.query.text, self.query.id)


@dataclass(frozen=True)
class Expert:
    """Makes the calls that solve an item, one after the other: `Expert(item.calls)`."""

    calls: tuple[ToolCall, ...]
    name: str = "expert"

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next call."""
        made = sum(step.role == "assistant" for step in history)
        return Action(tool_calls=(self.calls[made],))


class ToolEvalTask(Task):
    """Queries with a server and perhaps a judge, an open endpoint or a function: `ToolEvalTask(judge=endpoint)`.

    `path` is a folder with StableToolBench's (or ToolBench's) queries, tools and recorded answers, wherever they lie
    below it; tools that are not there are taken from the queries. `server` stands in for what is made of them.
    """

    name, title = "tooleval", "ToolBench (ToolEval)"
    metric = (
        "Pass rate: the share of queries that end in an answer which is no excuse, rests on a call that worked and, in "
        "our own collection, states the facts that were asked for."
    )
    scores = ("reward", "success", "judged")
    figures = (
        Figure("tooleval.success", "05_benchmarking"),
        Figure("tooleval.judged", "05_benchmarking"),
    )
    published = ("toolbench",)
    differs = (
        "The queries are 45 of our own over 32 APIs whose answers are computed, unless the original's files are given; "
        "a rule stands in for the judging model, unless one is given; a single chain of calls, no tree search."
    )
    max_steps = MAX_STEPS

    def __init__(
        self,
        path: str | Path | None = None,
        split: str = "test",
        server: Server | None = None,
        judge: verdicts.Judge | Endpoint | None = None,
        times: int = verdicts.VOTES,
    ) -> None:
        if split not in ("train", "test"):
            raise TaskError(f"split {split!r} is unknown; expected 'train' or 'test'")
        if path is None:
            self._items = [Item(one.query, one.calls) for one in embedded.solved(split)]
            self.tree, recorded, answerers = embedded.tree(), None, (embedded.answer,)
        else:
            folder = Path(path)
            if split == "train":
                raise TaskError(f"{folder}: the original's queries are all to test on; leave out split='train'")
            self._items = [Item(query) for query in read_queries(_below(folder, QUERIES) or folder)]
            tools, cache = _below(folder, TOOLS), _below(folder, CACHE)
            asked = (api for item in self._items for api in item.query.apis)
            self.tree, answerers = read_tools(tools) if tools else Tree(asked), ()
            recorded = Recorded.read(cache) if cache else None
        self.server = server or VirtualServer(self.tree, recorded, answerers)
        self.judge = verdicts.EndpointJudge(judge) if isinstance(judge, Endpoint) else judge
        self.times = times

    def items(self) -> list[Item]:
        return self._items

    def environment(self, item: Item) -> ToolEval:
        return ToolEval(item.query, self.server, embedded.examples_for(item.query), self.tree.descriptions)

    def expert(self, item: Item) -> Expert:
        """An agent that solves an item of our own collection."""
        if not item.calls:
            raise TaskError(f"task {self.name}: no expert for {item.id}; only our own collection has experts")
        return Expert(item.calls)

    def score(self, item: Item, answer: Trajectory, cut_off: bool = False) -> Row:
        """{"id", "kind", "reward", "success", "judged", "failure", "reason", "votes", "calls", "final_answer"}."""
        record = answers.of_trajectory(answer, CallText())
        found = verdicts.verdict(record, item.query.facts)
        if found.failure == "max_steps" and answer.extra.get("error"):  # it ended since an answer couldn't be read
            found = replace(found, failure="bad_format", reason=str(answer.extra["error"]))
        counted = verdicts.votes(record, self.judge, self.times) if self.judge else {}
        return {
            "id": item.id,
            "kind": item.kind,
            "reward": float(found.passed),
            "success": found.passed,
            "judged": fmean(verdicts.WORTH.get(vote, 0.0) for vote in counted.values()) if counted else None,
            "failure": found.failure,
            "reason": found.reason,
            "votes": list(counted.values()),
            "calls": answers.names_called(record),
            "final_answer": record["answer"]["final_answer"],
        }

    def summary(self, result: Any, seed: int = 0) -> dict[str, Any]:
        """The figures of all queries, and those of each published column."""
        return super().summary(result, seed) | {"groups": result.by_kind()}


TASK = ToolEvalTask


def _below(folder: Path, places: Sequence[str]) -> Path | None:
    return next((folder / place for place in places if (folder / place).is_dir()), None)
