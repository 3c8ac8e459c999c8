"""Spoiled records of all sources: no run ends, the books balance, a second run gives the same bytes."""

import json
import random

import fuzz_records
import pytest

from xlam_lib.data.accounting import UNFORESEEN


def test_no_spoiled_record_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m tests.support.fuzz_records --records 10000` does the same with more of them, and real ones."""
    monkeypatch.delenv("XLAM_REAL_DATA", raising=False)
    result = fuzz_records.fuzz(300, seed=0)
    assert result.records >= 300 and result.converted > 50
    assert [key for key in result.dropped if key[1] == UNFORESEEN] == []


def test_what_is_spoiled_depends_on_the_seed_alone() -> None:
    record = {"a": [{"b": "text"}] * 3, "tools": [{"type": "object", "properties": {}}]}
    made = [
        [fuzz_records.line_of(rng, fuzz_records.spoil(rng, record)) for _ in range(50)]
        for rng in map(random.Random, (1, 1, 2))
    ]
    assert made[0] == made[1] != made[2]
    assert record == {"a": [{"b": "text"}] * 3, "tools": [{"type": "object", "properties": {}}]}
    assert sum(line != json.dumps(record).encode() for line in made[0]) > 40
