"""One base error: every error of the library is an XlamError, and every command prints one line for any of them."""

import ast
import importlib

import pytest

from xlam_lib.errors import TrajectoryError, XlamError, as_command
from xlam_lib.paths import root

NOT_RAISED_TO_USERS = {"_Odd", "_Mismatch", "_Remains", "CutOffError"}


def test_every_error_of_the_library_has_the_one_base():
    bases = {}
    for path in (root() / "xlam_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    builtin = {name for name in dir(__builtins__) if name.endswith(("Error", "Exception"))} | {"Exception"}
    builtin |= {"ValueError", "RuntimeError", "OSError", "KeyError", "TypeError"}

    def ancestors(name):
        return {name}.union(*(ancestors(base) for base in bases.get(name, ())))

    errors = {name for name in bases if ancestors(name) & builtin or "XlamError" in ancestors(name)}
    assert len(errors) > 30
    assert {name for name in errors if "XlamError" not in ancestors(name)} <= NOT_RAISED_TO_USERS


def test_a_command_prints_one_line(capsys):
    def fails(error):
        raise error

    assert as_command(lambda: None) == as_command(lambda: "made") == 0 and as_command(lambda: 3) == 3
    assert as_command(lambda: fails(TrajectoryError("a.jsonl:3: no user step"))) == 2
    assert as_command(lambda: fails(FileNotFoundError(2, "No such file", "a")), status=1) == 1
    assert as_command(lambda: fails(KeyError("a")), also=(KeyError,)) == 2
    assert capsys.readouterr().err.count("error: ") == 3
    with pytest.raises(ZeroDivisionError):
        as_command(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("xlam_lib.data.unify", "--source toolbench --input nothing/here --output out"),
        ("xlam_lib.data.unify", "--source nobody --input . --output out"),
        ("xlam_lib.data.export", "--input nothing.jsonl --format openai --output out.jsonl"),
        ("xlam_lib.data.store", "--input nothing.jsonl --output out.parquet"),
        ("xlam_lib.data.apigen.run", "--functions no_such_module --out out"),
        ("xlam_lib.data.quality.judge", "--input no.jsonl --output o.jsonl --base-url http://127.0.0.1:9/v1 --model m"),
        ("xlam_lib.train.sft", "--base nothing --data nothing.jsonl --out out --processes 1"),
        ("xlam_lib.train.sft_lite", "--base nothing --data nothing.jsonl --out out --processes 1"),
        ("xlam_lib.train.dpo", "--base nothing --pairs nothing.jsonl --out out --processes 1"),
        ("xlam_lib.train.grpo", "--base nothing --data nothing.jsonl --out out --processes 1"),
        ("xlam_lib.train.plan", "nothing.yaml"),
        ("xlam_lib.train.preference.contrasts", "--data nothing.jsonl --out pairs.jsonl"),
        ("xlam_lib.models.adapters", "nothing out"),
        ("xlam_lib.models.gguf.__main__", "nothing out.gguf"),
        ("xlam_lib.models.card", "nothing"),
        ("xlam_lib.serve.server", "nothing --port 0"),
        ("xlam_lib.bench.tasks.heldout", "--data no.jsonl --base-url http://127.0.0.1:9/v1 --model m --out out"),
        ("xlam_lib.bench.report.__main__", "nothing"),
        ("xlam_lib.perf.conversion.__main__", "--source glaive --input nothing"),
        ("xlam_lib.batch.notebooks", "check 99_nothing"),
        ("xlam_lib.run", "experiments/99_nothing"),
    ],
)
def test_what_a_user_got_wrong_is_one_line_of_every_command(command, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status = importlib.import_module(command).main(words.split())
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert status in (1, 2) and lines[-1].startswith("error: "), lines
    assert not any("Traceback" in line for line in lines)


def test_the_base_is_what_callers_catch():
    with pytest.raises(XlamError, match="nobody"):
        from xlam_lib.data.sources import find_source

        find_source("nobody")
