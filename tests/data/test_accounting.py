"""Records in = converted + dropped + quarantined, and books that survive being written down."""

import dataclasses
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xlam_lib.data.accounting import KEPT, Accounting, AccountingError, Drop, Loss, markdown
from xlam_lib.data.pipeline.entries import loss_line


def loss(kind: str = "dropped", line: int = 1, reason: str = "empty query") -> Loss:
    return Loss(kind, "rows.jsonl", line, reason)


@pytest.fixture
def books() -> Accounting:
    books = Accounting("demo")
    books.convert(trajectories=1, steps=4)
    books.convert(trajectories=2, steps=6)
    books.lose(loss(line=3))
    books.lose(loss("quarantined", 4, "not JSON"))
    books.warn("arguments repaired", "demo/1: call_0")
    return books


def test_balances(books: Accounting) -> None:
    books.check()
    assert (books.records_in, books.records_converted, books.trajectories, books.steps) == (4, 2, 3, 10)
    assert books.dropped == {"empty query": 1}
    assert books.quarantined == 1


def test_a_record_that_vanishes_is_an_error(books: Accounting) -> None:
    books.records_in += 1
    with pytest.raises(AccountingError, match=r"demo: 5 records in, but 2 converted \+ 1 dropped \+ 1 quarantined = 4"):
        books.check()


def test_books_of_two_shards_add_up(books: Accounting) -> None:
    events = [
        lambda b: b.convert(2, 6),
        lambda b: b.warn("a", "first"),
        lambda b: b.lose(loss()),
        lambda b: b.warn("a", "second"),
        lambda b: b.lose(loss("quarantined", 2)),
        lambda b: b.remove(loss("removed", 3, "why")),
        lambda b: [b.lose(loss(line=i, reason=f"r{i % 3}")) for i in range(KEPT)],
        lambda b: b.warn("b", "third"),
    ]
    whole = Accounting("demo")
    for event in events:
        event(whole)
    for cut in range(len(events)):
        first, second = Accounting("demo"), Accounting("")
        for number, event in enumerate(events):
            event(first if number < cut else second)
        first.add(second)
        assert first == whole and list(first.dropped) == list(whole.dropped)
        assert first.warned == {"a": "first", "b": "third"}


@given(
    st.text(st.characters(codec=None, exclude_categories=()), max_size=20) | st.sampled_from(list(map(chr, range(256))))
)
@example("".join(map(chr, range(127))))
@example("\x7f")
def test_a_loss_is_written_as_json_writes_it(detail: str) -> None:
    lost = Loss("dropped", "rows.jsonl", 3, "why", detail)
    assert loss_line(lost) == json.dumps(dataclasses.asdict(lost)).encode() + b"\n"


def test_round_trip(books: Accounting) -> None:
    assert Accounting.from_dict(json.loads(json.dumps(books.to_dict()))) == books


def test_summary_is_what_the_command_promises(books: Accounting) -> None:
    assert books.summary() == {
        "source": "demo",
        "records_in": 4,
        "records_converted": 2,
        "trajectories": 3,
        "steps": 10,
        "dropped": {"empty query": 1},
        "quarantined": 1,
        "seconds": 0.0,
    }


def test_table_names_reasons_and_the_first_bad_line(books: Accounting) -> None:
    table = books.table()
    assert "records in            4   100.0 %" in table
    assert "25.0 %   empty query" in table
    assert "first: rows.jsonl:4: not JSON" in table
    assert "arguments repaired" in table


def test_every_loss_reaches_the_sink_though_few_are_kept() -> None:
    seen: list[Loss] = []
    books = Accounting("demo", sink=seen.append)
    for line in range(KEPT + 5):
        books.lose(loss(line=line))
    assert (len(seen), len(books.losses), books.dropped) == (KEPT + 5, KEPT, {"empty query": KEPT + 5})


def test_markdown_sums_up(books: Accounting) -> None:
    lines = markdown([books, books]).splitlines()
    assert lines[2] == "| demo | 4 | 2 | 1 | 1 | 3 | 10 | empty query (1) |"
    assert lines[-1] == "| **all** | 8 | 4 | 2 | 2 | 6 | 20 |  |"


def test_drop_says_reason_and_detail() -> None:
    assert str(Drop("call without a result", "get_weather")) == "call without a result: get_weather"
    assert str(Drop("empty query")) == "empty query"


def test_where_of_a_whole_file() -> None:
    assert loss(line=0).where == "rows.jsonl"
    assert loss(line=7).where == "rows.jsonl:7"
