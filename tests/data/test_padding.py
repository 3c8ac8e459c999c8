"""Nulls that a table has filled in: taken out in files as in streams of the hub, and counted."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlam_lib.data.accounting import Accounting
from xlam_lib.data.padding import without_padding
from xlam_lib.data.sources import load_source
from xlam_lib.data.unify import Options, unify
from xlam_lib.trajectory import Trajectory, read_jsonl

NOTHING = {"content": None, "tool_calls": None, "tool_call_id": None}
CALL = {"id": "a", "function": {"name": "weather", "arguments": {"city": "Oslo", "sum": None}}}
MESSAGES = [
    {**NOTHING, "role": "user", "content": "Weather in Oslo?"},
    {**NOTHING, "role": "assistant", "tool_calls": [CALL]},
    {**NOTHING, "role": "tool", "content": "4 degrees", "tool_call_id": "a"},
]
CITY = {"type": "string", "enum": None, "default": None}
TOOLS = [
    {"name": "weather", "parameters": {"type": "object", "properties": {"city": CITY, "sum": None}}},
    {"name": "convert", "parameters": {"type": "object", "properties": {"city": None, "sum": {"type": "number"}}}},
]
ROW = {"messages": MESSAGES, "tools": TOOLS}
COUNTED = {"nulls of a table taken out": 1}


def plain(t: Trajectory) -> tuple:
    return t.steps[1].tool_calls[0].arguments, [tool.parameters["properties"] for tool in t.tools]


FOUND = ({"city": "Oslo"}, [{"city": {"type": "string"}}, {"sum": {"type": "number"}}])


@pytest.mark.parametrize("source", ["openai_chat", "sharegpt"])
def test_a_file_that_was_a_table(tmp_path: Path, source: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    (t,) = load_source(source, tmp_path / "rows.jsonl", books := Accounting(source))
    assert plain(t) == FOUND
    assert books.warnings == COUNTED
    assert t.extra["null_padding"] == ["10 null(s)"]


def test_a_stream_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (tmp_path / "owner" / "name").mkdir(parents=True)
    rows = [{"messages": [{key: value for key, value in m.items() if value} for m in MESSAGES], "tools": TOOLS}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "owner" / "name" / "train.parquet")
    (t,) = load_source("openai_chat", "owner/name#train", books := Accounting("openai_chat"))
    assert plain(t) == FOUND and books.warnings == COUNTED
    books = unify("openai_chat", "owner/name#train", "out", options=Options(verify=False, rate=False))
    assert books.warnings == COUNTED
    assert [plain(t) for t in read_jsonl("out/trajectories.jsonl")] == [FOUND]


def test_tools_alone_show_it() -> None:
    record = {"messages": "[...]", "tools": TOOLS}
    assert without_padding(record, ("messages", "tools"))[1] == 4
    wrapped = {"tools": [{"type": "function", "function": tool, "strict": None} for tool in TOOLS]}
    assert without_padding(wrapped, ("tools",))[1] == 6


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Go"}, {"role": "assistant", "tool_calls": [CALL]}],
        [{"role": "user", "content": "Go", "name": None}, {"role": "assistant", "tool_calls": [CALL], "name": None}],
        [{"role": "assistant", "tool_calls": [CALL], "content": None}],
        "[]",
        [],
        [None, None],
    ],
)
def test_nulls_that_a_record_has_itself_stay(messages: object) -> None:
    tool = {"name": "f", "parameters": {"properties": {"n": {"type": "integer", "default": None}}}}
    record = {"messages": messages, "tools": [tool], "extra": None}
    assert without_padding(record, ("messages", "tools")) == (record, 0)


def test_nulls_in_text_stay() -> None:
    call = {"id": "a", "function": {"name": "weather", "arguments": '{"city": "Oslo", "sum": null}'}}
    record, _ = without_padding({"messages": [MESSAGES[0], {**MESSAGES[1], "tool_calls": [call]}]}, ("messages",))
    assert record["messages"][1]["tool_calls"] == [call]
