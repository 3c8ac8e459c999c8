"""Rows of a data set on the Hugging Face hub -> raw records, streamed, nothing downloaded as a whole (notebook 01).

    for raw in hub_records("Salesforce/xlam-function-calling-60k"): ...   # raw.where == "owner/name[train]:17"

A data set is named `owner/name`, and more exactly `owner/name:config@revision#split`. Code that lies in a data set is
never run (`datasets` can't any more). The token for gated ones is taken from the environment, HF_TOKEN, by the client.

Keys that a table has filled with null are left out again, see `tables.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.reading import SUFFIXES, Raw, ReadError
from xlam_lib.data.tables import BATCH, record_of, rows_of

PATTERN = re.compile(
    r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(?::(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?(?:#(?P<split>\w+))?"
)


@dataclass(frozen=True)
class HubId:
    """A data set, maybe one configuration, revision or split of it: `HubId("Team-ACE/ToolACE", split="train")`."""

    name: str
    config: str | None = None
    revision: str | None = None
    split: str | None = None

    def place(self, split: str) -> str:
        """What stands for a file in records and losses: "owner/name[train]"."""
        return f"{self.name}{f':{self.config}' if self.config else ''}[{split}]"


class Changed(ReadError):
    """The data set isn't what it was when its first rows were read."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: the data set has changed; start anew, and name its revision: owner/name@revision")


def hub_id(path: str | Path) -> HubId | None:
    """The data set that a text names, None where it is a path: `hub_id("Team-ACE/ToolACE#train").split` -> "train".

    What exists as a file or folder is a path, and so is what has the name of a data file.
    """
    found = PATTERN.fullmatch(path) if isinstance(path, str) else None
    if not found or found["name"].endswith((*SUFFIXES, ".txt", ".gz")) or Path(path).exists():
        return None
    return HubId(**found.groupdict())


def parsed(text: str) -> HubId:
    """The data set that a text names, whatever else there is of that name: `parsed("Team-ACE/ToolACE").split` -> None.

    Another text is a ReadError.
    """
    found = PATTERN.fullmatch(text)
    if not found:
        raise ReadError(f"{text!r} names no data set of the hub; expected owner/name:config@revision#split")
    return HubId(**found.groupdict())


def hub_records(hub: HubId | str, after: tuple[str, int] | None = None) -> Iterator[Raw | Loss]:
    """Every row of every split in order; a data set that can't be had is a ReadError at once, which says what to do.

    `after` is (place, number) of a row, and those up to it are passed over: ("owner/name[train]", 1200).
    """
    hub = parsed(hub) if isinstance(hub, str) else hub
    splits = _opened(hub)
    places = [hub.place(split) for split in splits]
    if after and after[0] not in places:
        raise Changed(f"{after[0]} was read before, and now there is {', '.join(places)}")
    begun = places.index(after[0]) if after else 0
    return _rows(hub, dict(list(splits.items())[begun:]), after[1] if after else 0)


def _opened(hub: HubId) -> dict[str, Any]:
    """The splits of a data set, ready to be streamed."""
    import datasets  # takes seconds, and few need it

    try:
        found = datasets.load_dataset(hub.name, hub.config, split=hub.split, revision=hub.revision, streaming=True)
    except Exception as error:  # the client raises of many kinds; all mean that it can't be had
        raise _unreachable(hub, error) from error
    return {hub.split: found} if hub.split else dict(found)


def _unreachable(hub: HubId, error: Exception) -> ReadError:
    why = " ".join(str(error).split())[:300] or type(error).__name__
    return ReadError(
        f"{hub.name}: no such file or folder, and as a data set of the hub it can't be streamed ({why}). Download it "
        f"by hand from https://huggingface.co/datasets/{hub.name} and give the folder; or, if it is gated, accept its "
        "terms there and set HF_TOKEN in the environment; if it has several configurations, name one: owner/name:config"
    )


def _rows(hub: HubId, splits: dict[str, Any], passed: int) -> Iterator[Raw | Loss]:
    for split, dataset in splits.items():
        place, number = hub.place(split), 0
        tables = iter(dataset.with_format("arrow").iter(batch_size=BATCH))
        while (table := _next(tables, hub, place, number)) is not None:
            skipped = min(max(passed - number, 0), table.num_rows)
            number += skipped
            for row in rows_of(table.slice(skipped)):
                number += 1
                yield record_of(row, table.schema, place, number)
        if number < passed:
            raise Changed(f"{place}: row {passed} was read before, and now there are but {number}")
        passed = 0


def _next(tables: Iterator[Any], hub: HubId, place: str, number: int) -> Any:
    """The next piece of the stream, None at its end; whatever the client raises becomes one error that says where."""
    try:
        return next(tables, None)
    except Exception as error:
        why = " ".join(str(error).split())[:300]
        raise ReadError(
            f"{place}: the stream broke off behind row {number} ({type(error).__name__}: {why}); "
            f"try again, or download https://huggingface.co/datasets/{hub.name} and give the folder"
        ) from error
