"""Inspect's logs: messages, attachments, tools of the model's events, scores; `.json` and `.eval` files alike."""

import json
import math
import zipfile
import zlib
from pathlib import Path

import pyarrow
import pytest

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.archives import ZSTANDARD
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.logs.inspect_ai import convert, unpack
from xlam_lib.data.unify import unify
from xlam_lib.trajectory import Trajectory

ASK = [{"role": "system", "content": "Count."}, {"role": "user", "content": "1 + 2?", "source": "input"}]
CALL = {"id": "c1", "function": "add", "arguments": {"x": 1}, "type": "function"}
LOG = {"version": 2, "eval": {"task": "sums", "model": "demo/model", "packages": {"a": "1"}}, "plan": {"name": "p"}}


def said(content: object, **more: object) -> dict:
    return {"role": "assistant", "content": content, "source": "generate", **more}


def sample(*messages: dict, **more: object) -> dict:
    return {"id": "a", "epoch": 2, "input": "1 + 2?", "target": "3", "messages": [*ASK, *messages], **more}


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, "/logs/x.json:1")
    trajectory.validate("warning")
    return trajectory


def test_reasoning_calls_and_an_error_in_place_of_a_result() -> None:
    parts = [{"type": "reasoning", "reasoning": "Hm.", "signature": "c2ln"}, {"type": "text", "text": "I add."}]
    error = {"type": "timeout", "message": "too slow"}
    result = {"role": "tool", "content": "", "tool_call_id": "c1", "function": "add", "error": error}
    t = one(sample(said(parts, tool_calls=[CALL]), result, said("3"), log=LOG))
    turn, answer = t.steps[2:4]
    assert (turn.content, turn.reasoning, turn.tool_calls[0].arguments) == ("I add.", "Hm.", {"x": 1})
    assert (answer.content, answer.is_error, answer.name) == ("too slow", True, "add")
    assert t.extra["message_notes"] == [{"message": 3, "error_type": "timeout"}]
    assert t.trajectory_id == "inspect_ai/sums/a/epoch_2" and t.extra["run"] == {"task": "sums", "model": "demo/model"}


def test_redacted_reasoning_gives_its_summary() -> None:
    part = {"type": "reasoning", "reasoning": "x8f3", "redacted": True, "summary": "It added."}
    assert one(sample(said([part, {"type": "text", "text": "3"}]))).steps[-1].reasoning == "It added."


def test_attachments_are_put_in_their_place() -> None:
    record = sample(said("attachment://9a"), attachments={"9a": "a long text"}, metadata={"a": ["attachment://9a"]})
    t = one(record)
    assert t.steps[-1].content == "a long text" and t.extra["metadata"] == {"a": ["a long text"]}
    with pytest.raises(Drop, match="an attachment is missing: 9a"):
        one(sample(said("attachment://9a")))


def test_tools_are_those_of_the_models_own_events() -> None:
    def event(id: str, *names: str) -> dict:
        tools = [{"name": name, "description": f"of {id}", "parameters": {"type": "object"}} for name in names]
        return {"event": "model", "tools": tools, "output": {"choices": [{"message": {"id": id}}]}}

    events = [{"event": "state"}, event("m1", "add", "sub"), event("grader", "grade"), event("m2", "add")]
    t = one(sample(said("", id="m1", tool_calls=[CALL]), events=events))
    assert [tool.name for tool in t.tools] == ["add", "sub"]
    other = one(sample(said("", tool_calls=[CALL]), events=events))  # older logs have no ids
    assert [tool.name for tool in other.tools] == ["add", "sub", "grade"]
    assert other.extra["other_tools"][0]["description"] == "of m2"
    assert one(sample(said("", tool_calls=[CALL]))).extra["inferred_tools"] == ["add"]


def test_what_the_model_did_not_write_is_not_learnt() -> None:
    broken = said("", tool_calls=[{**CALL, "arguments": {}, "parse_error": "no JSON"}])
    messages = [{**said("2"), "source": "input"}, {"role": "user", "content": "And?"}, broken]
    t = one(sample(*messages))
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [False, False]
    assert t.extra["message_notes"] == [{"message": 4, "parse_errors": ["no JSON"]}]


@pytest.mark.parametrize(
    ("values", "success", "reward"),
    [
        (["C"], True, 1.0),
        (["I", "I"], False, 0.0),
        (["P"], None, 0.5),
        ([True], True, 1.0),
        ([0.3], None, 0.3),
        ([1], None, 1.0),
        (["C", "I"], None, None),
        (["NaN"], None, None),
        ([{"a": 1}], None, None),
        ([], None, None),
    ],
)
def test_scores(values: list, success: bool | None, reward: float | None) -> None:
    scores = {f"s{n}": {"value": value} for n, value in enumerate(values)}
    outcome = one(sample(said("3"), scores=scores)).outcome
    assert (outcome.success, outcome.reward) == (success, reward)
    assert outcome.checks == ({"scores": scores} if scores else {})


def test_ends() -> None:
    scores = {"s": {"value": "I"}}
    failed = one(sample(said("3"), scores=scores, error={"message": "no disk"})).outcome
    assert (failed.termination, failed.success, failed.reward) == ("infra_error", None, None)
    assert one(sample(said("3"), limit={"type": "token", "limit": 9})).outcome.termination == "max_steps"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (LOG, "a log without samples: no trajectory to convert"),
        ({**LOG, "samples": []}, "a log without samples: no trajectory to convert"),
        ({"id": 1, "messages": []}, "a sample without messages"),
        (sample(said([{"type": "tool_use", "name": "web_search"}])), "a tool that the model's server runs"),
        (sample(said([{"type": "image", "image": "data:"}])), "message content is not text"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        (inner,) = unpack(record) or [record]
        one(inner)
    assert drop.value.reason == reason


def write_log(path: Path, samples: list[dict], method: int = zipfile.ZIP_DEFLATED) -> None:
    """An `.eval` file; Zstandard is written as others would, with the bytes put in the place of stored ones."""
    members = {"header.json": LOG, **{f"samples/{each['id']}_epoch_1.json": each for each in samples}}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if method == ZSTANDARD else method) as archive:
        for name, value in members.items():
            data = json.dumps(value).encode()
            packed = pyarrow.compress(data, "zstd", asbytes=True) if method == ZSTANDARD else data
            archive.writestr(name, packed)
        if method == ZSTANDARD:
            for info, value in zip(archive.infolist(), members.values(), strict=True):
                data = json.dumps(value).encode()
                info.compress_type, info.file_size, info.CRC = ZSTANDARD, len(data), zlib.crc32(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, ZSTANDARD])
def test_eval_files_give_what_json_logs_give(tmp_path: Path, method: int) -> None:
    samples = [sample(said("3"), id=n, scores={"s": {"value": math.nan}}) for n in (1, 2)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "log.json").write_text(json.dumps({**LOG, "samples": samples}, indent=2))
    write_log(tmp_path / "b" / "log.eval", samples, method)
    whole, zipped = (list(load_source("inspect_ai", tmp_path / name)) for name in "ab")
    assert whole == zipped and len(whole) == 2
    assert whole[0].outcome.checks == {"scores": {"s": {"value": "NaN"}}}
    books = unify("inspect_ai", tmp_path / "b", tmp_path / "out")
    assert (books.trajectories, books.warnings) == (2, {})


def test_a_broken_member_costs_itself_and_a_broken_zip_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", json.dumps(LOG))
        archive.writestr("samples/1_epoch_1.json", json.dumps(sample(said("3")))[:-9])
        archive.writestr("samples/2_epoch_1.json", json.dumps(sample(said("3"))))
    books = Accounting("inspect_ai")
    (t,) = load_source("inspect_ai", path, books)
    assert t.extra["run"]["task"] == "sums"
    (loss,) = books.losses
    assert (loss.kind, loss.line) == ("quarantined", 1) and loss.reason.startswith("samples/1_epoch_1.json: not JSON")
    path.write_bytes(path.read_bytes()[:-40])
    books = Accounting("inspect_ai")
    assert list(load_source("inspect_ai", path, books)) == []
    assert books.losses[0].reason.startswith("not a whole zip file")
