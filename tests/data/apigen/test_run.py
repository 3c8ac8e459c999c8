"""The command: folders that are whole, the same bytes for the same seed, errors in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import judge_server
import pytest
from support import SUPPORT

from xlam_lib.data.apigen.apis import Library
from xlam_lib.data.apigen.run import Settings, main, make
from xlam_lib.files import is_complete
from xlam_lib.paths import root
from xlam_lib.trajectory import read_jsonl

STORE = {
    "openapi": "3.1.0",
    "info": {"title": "Store"},
    "paths": {
        "/items/{sku}": {
            "get": {
                "operationId": "findItem",
                "summary": "Find an item of the store",
                "parameters": [{"name": "sku", "in": "path", "schema": {"type": "integer"}, "description": "number"}],
                "responses": {"200": {"content": {"application/json": {"example": {"sku": 1, "price": 2.5}}}}},
            }
        }
    },
}


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(SUPPORT)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "store.json"
    path.write_text(json.dumps(STORE))
    return str(path)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "COMPLETE"}


def run(*arguments: str) -> int:
    return main(list(map(str, arguments)))


def test_functions_documents_and_conversations_in_one_folder(tmp_path, store, capsys):
    out = tmp_path / "out"
    options = (
        "--functions",
        "apigen_functions",
        "--openapi",
        store,
        "--count",
        30,
        "--multi-turn",
        6,
        "--license",
        "MIT",
    )
    assert run(*options, "--out", out) in (0, 3)
    found = json.loads(capsys.readouterr().out)
    assert is_complete(out) and found == json.loads((out / "accounting.json").read_text())
    rows = list(read_jsonl(out / "samples.jsonl"))
    single, multi = found["single_turn"], found["multi_turn"]
    assert len(rows) == single["accepted"] + multi["accepted"] and single["accepted"] >= 20 and multi["accepted"] >= 4
    assert single["plans"] == 30 and multi["numbers"] == 6 and found["functions"] == 7
    assert len((out / "failures.jsonl").read_text().splitlines()) == single["failed"]
    assert {row.source.license for row in rows} == {"MIT"} and len({row.trajectory_id for row in rows}) == len(rows)
    assert any(tool.name == "find_item" for row in rows for tool in row.tools)
    assert all(row.validate("warning") == [] for row in rows)
    assert found["network_held_by"] and "files to read" in found["held_by"]


def test_same_seed_same_bytes_in_another_process(tmp_path, store):
    options = ["--functions", "apigen_functions", "--openapi", store, "--count", "12", "--multi-turn", "4"]
    assert run(*options, "--out", tmp_path / "a") in (0, 3)
    command = [sys.executable, "-m", "xlam_lib.data.apigen.run", *options, "--out", str(tmp_path / "b")]
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": f"{root()}:{SUPPORT}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode in (0, 3), done.stderr
    assert files(tmp_path / "a") == files(tmp_path / "b")
    run(*options, "--seed", 1, "--out", tmp_path / "c")
    assert files(tmp_path / "a")["samples.jsonl"] != files(tmp_path / "c")["samples.jsonl"]


def test_a_model_writes_and_another_one_checks(tmp_path, store):
    def reply(body, number):
        if body["model"] == "Judge":
            return 200, '{"thought": "fine", "pass": true}'
        call = {"name": "find_item", "arguments": {"sku": body["seed"]}}
        return 200, json.dumps({"query": f"Find item {body['seed']} in the store.", "tool_calls": [call]})

    with judge_server.JudgeServer(reply) as server:
        options = ("--openapi", store, "--kinds", "simple", "--count", 5, "--base-url", server.url, "--model", "Writer")
        assert run(*options, "--checker-model", "Judge", "--out", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "accounting.json").read_text())
    assert found["single_turn"]["accepted"] == 5 and found["tokens"] == {"Writer": [500, 50], "Judge": [500, 50]}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--count", 3), "--count needs functions"),
        ((), "nothing to make"),
        (("--functions", "no_such_module", "--count", 1), "no_such_module"),
        (("--functions", "apigen_functions:no_such", "--count", 1), "no_such"),
        (("--openapi", "/no/such/file.json", "--count", 1), "/no/such/file.json"),
        (("--embedded", "--count", 1, "--model", "M"), "needs an address"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path, capsys, options, error):
    assert run(*options, "--out", tmp_path / "out") == 1
    found = capsys.readouterr().err
    assert found.startswith("error: ") and error in found and found.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_refusing_endpoint_leaves_nothing(tmp_path, store, capsys):
    with judge_server.JudgeServer(lambda body, n: (404, {"error": {"message": "no such model"}})) as server:
        options = (
            "--openapi",
            store,
            "--count",
            2,
            "--base-url",
            server.url,
            "--model",
            "M",
            "--out",
            tmp_path / "out",
        )
        assert run(*options) == 1
    assert "refused model 'M' with status 404" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_make_is_a_function_too(tmp_path):
    found = make(Settings(Library.embedded(), count=6, attempts=8, kinds={"simple": 1.0}), tmp_path / "out")
    assert found["single_turn"]["accepted"] == 6


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, xlam_lib.data.apigen.run, xlam_lib.data.apigen.openapi; "
        "print(sorted({'torch', 'openai', 'transformers', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
