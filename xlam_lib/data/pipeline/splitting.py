"""Train, val and test with no task and no tool set on two sides (notebook 01).

Trajectories of the same task, or with the same tools, belong together; what hangs together by such links (a connected
component) goes to one side as a whole. The largest go first, each to the side that lacks most, so the shares come out
as near as the data allow: a source with one tool set for all its trajectories can't be split by tool set at all.

    groups = Groups()
    for t in trajectories: groups.add(task_key(t), t.toolset_id)
    side = groups.assign((0.9, 0.05, 0.05), seed=0)
    side(task_key(t), t.toolset_id)  # "train"
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Trajectory

SIDES = ("train", "val", "test")
BY = ("task", "tools")


class SplitError(XlamError, ValueError):
    """A task or a tool set is on two sides, or the shares make no sense."""


def task_key(t: Trajectory) -> str:
    """What makes two trajectories the same task: its id within the source, or else the question asked."""
    if t.task.task_id:
        return f"{t.source.name}/{t.task.task_id}"
    asked = next((step.content for step in t.steps if step.role == "user"), "")
    return hashlib.blake2b(f"{t.task.instruction}\n{asked}".encode(), digest_size=12).hexdigest()


class Groups:
    """What belongs together: a forest over tasks and tool sets, with the trajectories counted at its roots."""

    def __init__(self, by: Sequence[str] = BY) -> None:
        if not by or not set(by) <= set(BY):
            raise SplitError(f"split by {', '.join(by) or 'nothing'}: expected {' and/or '.join(BY)}")
        self.by = tuple(by)
        self.parent: dict[tuple[str, str], tuple[str, str]] = {}
        self.size: dict[tuple[str, str], int] = {}

    def add(self, task: str, toolset: str) -> None:
        """One trajectory; an empty tool set links nothing."""
        first, *others = self.keys(task, toolset)
        root = self.root(first)
        for other in others:
            root = self._join(root, self.root(other))
        self.size[root] = self.size.get(root, 0) + 1

    def keys(self, task: str, toolset: str) -> list[tuple[str, str]]:
        """The nodes of a trajectory: [("task", "..."), ("tools", "...")]."""
        found = [("task", task)] if "task" in self.by else []
        found += [("tools", toolset)] if "tools" in self.by and toolset else []
        return found or [("task", task)]

    def root(self, key: tuple[str, str]) -> tuple[str, str]:
        """The representative of a node, halving the way to it."""
        self.parent.setdefault(key, key)
        while self.parent[key] != key:
            self.parent[key] = self.parent[self.parent[key]]
            key = self.parent[key]
        return key

    def _join(self, a: tuple[str, str], b: tuple[str, str]) -> tuple[str, str]:
        if a == b:
            return a
        keep, go = min(a, b), max(a, b)  # by name, so that the order of the trajectories doesn't matter
        self.parent[go] = keep
        if go in self.size:
            self.size[keep] = self.size.get(keep, 0) + self.size.pop(go)
        return keep

    def assign(self, shares: Sequence[float], seed: int = 0) -> Callable[[str, str], str]:
        """A function (task, toolset) -> "train", "val" or "test"; `shares` are their parts, which sum to 1."""
        if len(shares) != len(SIDES) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise SplitError(
                f"shares are {', '.join(map(str, shares))}: expected three that sum to 1, as 0.9 0.05 0.05"
            )
        total = sum(self.size.values())
        lacking = {side: share * total for side, share in zip(SIDES, shares, strict=True)}
        chosen = {}
        for root in sorted(self.size, key=lambda root: (-self.size[root], _shuffled(root, seed))):
            side = max(SIDES, key=lambda side: lacking[side])  # the first of equals: train
            chosen[root] = side
            lacking[side] -= self.size[root]
        return lambda task, toolset: chosen[self.root(self.keys(task, toolset)[0])]


def _shuffled(key: tuple[str, str], seed: int) -> str:
    return hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=16).hexdigest()


class Disjoint:
    """The proof: given the side of each trajectory, it raises SplitError at the first task or tool set on two."""

    def __init__(self, by: Sequence[str] = BY) -> None:
        self.groups, self.side = Groups(by), {}

    def see(self, task: str, toolset: str, side: str) -> None:
        """One trajectory that was put on a side."""
        if side not in SIDES:
            raise SplitError(f"side {side!r} of task {task!r}: expected one of {', '.join(SIDES)}")
        for key in self.groups.keys(task, toolset):
            if (other := self.side.setdefault(key, side)) != side:
                raise SplitError(f"{key[0]} {key[1]!r} is in {other} and in {side}")


def check_disjoint(trajectories: Iterable[Trajectory], by: Sequence[str] = BY) -> dict[str, int]:
    """How many trajectories each side has, once it is sure that they share nothing: {"train": 90, "val": 5, ...}."""
    proof, counts = Disjoint(by), dict.fromkeys(SIDES, 0)
    for t in trajectories:
        proof.see(task_key(t), t.toolset_id if t.tools else "", t.split)
        counts[t.split] += 1
    return counts
