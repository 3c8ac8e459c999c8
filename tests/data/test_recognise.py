"""A record of another format is refused by its name, with the source that reads it."""

from itertools import chain

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.convert import raw_records, unpacked
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.reading import read_records
from xlam_lib.data.recognise import FORMATS, recognised
from xlam_lib.data.sources import SOURCES, ReadError, find_source

RECORDS = {
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    "langchain": {"messages": [{"type": "human", "content": "Hi"}, {"type": "ai", "content": "Hello"}]},
    "preferences": {"conversations": [{"from": "human", "value": "Hi"}], "chosen": {}, "rejected": {}},
    "verifiers": {"example_id": 1, "prompt": "Hi", "completion": "Hello", "reward": 1.0},
    "swe_agent": {"trajectory": [{"action": "ls", "observation": "a", "thought": ""}], "info": {}},
    "inspect_ai": {"version": 2, "status": "success", "eval": {"task": "t"}, "samples": []},
    "atif": {"schema_version": "ATIF-v1.2", "session_id": "s", "steps": []},
    "openai_responses": {"input": "Hi", "output": [{"type": "message", "content": []}]},
    "openhands": {"instance_id": "i", "history": [{"id": 0, "source": "user", "action": "message"}]},
    "tau_bench": {"task_id": 1, "traj": [], "reward": 1.0},
    "toolbench": {"tree": {}, "answer_generation": {}},
    "xlam_fc_60k": {"query": "Hi", "answers": "[]", "tools": "[]"},
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("reader", ["openai_chat", "sharegpt"])
def test_readers_of_chats_name_the_source(reader: str, name: str) -> None:
    with pytest.raises(Drop) as drop:
        find_source(reader).convert(RECORDS[name], "x.json:1")
    assert drop.value.reason.endswith(f"{FORMATS[name][0]}, which the source {name} reads")


@pytest.mark.parametrize("reader", ["gemini", "langchain", "verifiers", "preferences"])
def test_so_do_readers_of_other_formats(reader: str) -> None:
    with pytest.raises(Drop, match="which the source atif reads"):
        find_source(reader).convert(RECORDS["atif"], "x.json:1")


@pytest.mark.parametrize("name", sorted(FORMATS.keys() & SOURCES))
def test_records_of_each_format_are_recognised_as_their_own(name: str) -> None:
    files = [path for path in (samples_dir(name) / "raw").rglob("*.json*") if path.is_file()]
    records = [raw for path in files for raw in read_records(path)]
    found = {recognised(raw.value) for raw in chain(records, unpacked(SOURCES[name], records))}
    assert {format_[1] for format_ in found if format_} == {name}


def test_a_chat_is_nothing_else() -> None:
    assert recognised({"messages": [{"role": "user", "content": "Hi"}], "tools": []}) is None
    assert recognised({"conversations": [{"from": "human", "value": "Hi"}]}) is None
    assert recognised({}) is None


def test_a_name_that_is_no_source() -> None:
    with pytest.raises(ReadError, match="no source 'openai-chats'; did you mean 'openai_chat'"):
        find_source("openai-chats")
    with pytest.raises(ReadError, match="no source 'xyz'. There are"):
        find_source("xyz")


@pytest.mark.parametrize("source", ["atif", "inspect_ai", "openai_responses", "openhands", "swe_agent"])
def test_logs_of_agents_are_recognised_whole_and_in_parts(source: str) -> None:
    files = sorted(path for path in (samples_dir(source) / "raw").rglob("*") if path.is_file())
    for raw in (raw for file in files for raw in raw_records(SOURCES[source], file)):
        parts = [part for key in ("items", "history") for part in raw.value.get(key, []) if isinstance(part, dict)]
        of_a_program = [part for part in parts if "type" in part or part.get("source") in ("agent", "user")]
        if source in ("openai_responses", "openhands"):
            assert {recognised(part)[1] for part in of_a_program} <= {source}
        assert recognised(raw.value)[1] == source or "parent" in raw.value
