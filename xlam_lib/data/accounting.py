"""The books of a conversion: every raw record ends as converted, dropped (with a reason) or quarantined (notebook 01).

A record that could be read but not used is *dropped*: the converter raised `Drop("call without a result")`. One that
could not be read (cut off, not JSON, wrong encoding) is *quarantined*. Each of the two keeps its file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from xlam_lib.data.fields import UNKNOWN
from xlam_lib.errors import XlamError
from xlam_lib.markdown import Markup, table
from xlam_lib.schema import Frozen

NAMES, OTHERS = 50, "unknown fields of other names"  # so many names are told apart, since keys may be ids
UNFORESEEN = "a shape that the converter doesn't know"
KEPT = 1000  # losses held in memory and in accounting.json; losses.jsonl has all of them
COUNTS = ("records_in", "records_converted", "trajectories", "steps")


class AccountingError(XlamError, RuntimeError):
    """The books don't balance: a fault of the library, never of the data."""


class Drop(XlamError):
    """Raised by a converter: `raise Drop("result without a call", "message 7: get_weather")`.

    `reason` is counted, so it is one of few fixed sentences; `detail` says what was found in this record.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Loss(Frozen, frozen=True):
    """One record that is not in the output: `Loss("dropped", "rows.jsonl", 17, "empty query")`."""

    kind: str  # "dropped" or "quarantined", or "removed" for one of the trajectories of a record
    file: str
    line: int  # where the record begins, from 1; 0 stands for the file as a whole
    reason: str
    detail: str = ""

    @property
    def where(self) -> str:
        """File and line as error messages show them: "rows.jsonl:17"."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Accounting:
    """Counts of one source: `Accounting("toolbench")`; `sink` is called with each loss, e.g. to write it down."""

    source: str
    records_in: int = 0
    records_converted: int = 0
    trajectories: int = 0
    steps: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    removed: dict[str, int] = field(default_factory=dict)  # trajectories left out of records that were converted
    warnings: dict[str, int] = field(default_factory=dict)  # kept in the output, worth a look
    warned: dict[str, str] = field(default_factory=dict)  # one example of each kind of warning
    losses: list[Loss] = field(default_factory=list)  # the first of them
    files: int = 0
    ignored_files: list[str] = field(default_factory=list)
    seconds: float = 0.0
    sink: Callable[[Loss], None] | None = field(default=None, repr=False, compare=False)

    def convert(self, trajectories: int, steps: int) -> None:
        """One record became so many trajectories and steps."""
        self.records_in += 1
        self.records_converted += 1
        self.trajectories += trajectories
        self.steps += steps

    def lose(self, loss: Loss) -> None:
        """One record was lost, and this is where and why."""
        self._count(loss)
        if self.sink is not None:
            self.sink(loss)

    def count_losses(self, losses: Sequence[Loss]) -> None:
        """The same for losses that the sink has already."""
        for loss in losses:
            self._count(loss)

    def _count(self, loss: Loss) -> None:
        self.records_in += 1
        if loss.kind == "quarantined":
            self.quarantined += 1
        else:
            self.dropped[loss.reason] = self.dropped.get(loss.reason, 0) + 1
        if len(self.losses) < KEPT:
            self.losses.append(loss)

    def remove(self, loss: Loss) -> None:
        """A trajectory was left out, though its record gave others that are kept."""
        self.removed[loss.reason] = self.removed.get(loss.reason, 0) + 1
        if self.sink is not None:
            self.sink(loss)

    def warn(self, kind: str, example: str) -> None:
        """Something was kept that a reader should know of: `warn("arguments repaired", "x/1: call_0: empty text")`."""
        kind = self._warning(kind)
        self.warnings[kind] = self.warnings.get(kind, 0) + 1
        self.warned.setdefault(kind, example)

    def _warning(self, kind: str) -> str:
        """Under what a warning is counted: itself, but for unknown fields beyond the first names."""
        if kind in self.warnings or not kind.startswith(UNKNOWN):
            return kind
        told_apart = sum(known.startswith(UNKNOWN) for known in self.warnings)
        return kind if told_apart < NAMES else OTHERS

    def add(self, other: Accounting) -> None:
        """The books of what comes next; its losses are taken to be written down already."""
        for name in (*COUNTS, "quarantined"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.dropped, other.dropped), (self.removed, other.removed)):
            for kind, count in theirs.items():
                mine[kind] = mine.get(kind, 0) + count
        for given, count in other.warnings.items():
            kind = self._warning(given)
            self.warnings[kind] = self.warnings.get(kind, 0) + count
            if given in other.warned:
                self.warned.setdefault(kind, other.warned[given])
        self.losses += other.losses[: KEPT - len(self.losses)]

    def check(self) -> None:
        """Raises AccountingError unless records in = converted + dropped + quarantined."""
        out = self.records_converted + sum(self.dropped.values()) + self.quarantined
        if self.records_in != out:
            raise AccountingError(
                f"{self.source}: {self.records_in} records in, but {self.records_converted} converted + "
                f"{sum(self.dropped.values())} dropped + {self.quarantined} quarantined = {out}"
            )

    def summary(self) -> dict[str, Any]:
        """The one JSON line that the command ends with."""
        return {
            "source": self.source,
            **{name: getattr(self, name) for name in COUNTS},
            "dropped": dict(sorted(self.dropped.items())),
            "quarantined": self.quarantined,
            "seconds": round(self.seconds, 3),
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("sink", "losses")}
        return {**values, "losses": [msgspec.structs.asdict(loss) for loss in self.losses]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Accounting:
        """What `to_dict` gave."""
        return cls(**{**data, "losses": [Loss(**loss) for loss in data["losses"]]})

    def table(self) -> str:
        """The books as text:

        records in          34
          converted         33   97.1 %   -> 33 trajectories, 812 steps
          dropped            1    2.9 %   infrastructure error, no messages
        """
        lines = [("records in", self.records_in, "")]
        into = f"-> {self.trajectories} trajectories, {self.steps} steps"
        lines.append(("  converted", self.records_converted, into))
        lines += [("  dropped", count, reason) for reason, count in sorted(self.dropped.items())]
        if self.quarantined:
            first = next((loss for loss in self.losses if loss.kind == "quarantined"), None)
            lines.append(("  quarantined", self.quarantined, f"first: {first.where}: {first.reason}" if first else ""))
        lines += [("  removed", count, f"trajectories: {reason}") for reason, count in sorted(self.removed.items())]
        lines += [("  warnings", count, kind) for kind, count in sorted(self.warnings.items())]
        text = "\n".join([f"source  {self.source}", *(self._line(*line) for line in lines)])
        return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate can't be printed

    def _line(self, label: str, count: int, note: str) -> str:
        of_records = self.records_in and label not in ("  removed", "  warnings")
        share = f"{100 * count / self.records_in:6.1f} %" if of_records else " " * 8
        return f"{label:<14}{count:>9}  {share}   {note}".rstrip()


def markdown(accountings: Sequence[Accounting]) -> str:
    """The books of several sources as one markdown table, a row each and a sum."""
    head = ["source", "records in", "converted", "dropped", "quarantined", "trajectories", "steps", "reasons"]
    rows = [
        [
            a.source,
            a.records_in,
            a.records_converted,
            sum(a.dropped.values()),
            a.quarantined,
            a.trajectories,
            a.steps,
            "; ".join(f"{reason} ({n})" for reason, n in sorted(a.dropped.items())),
        ]
        for a in accountings
    ]
    sums = [sum(row[i] for row in rows) for i in range(1, 7)]
    return table(head, [*rows, [Markup("**all**"), *sums, ""]])
