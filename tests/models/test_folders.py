"""A checkpoint is a folder of this machine: a name is never asked of a hub, and nothing in it is run."""

import ast
import contextlib
import json
import pickle
import shutil
import socket

import pytest

from xlam_lib.errors import CheckpointError
from xlam_lib.models.folders import checked, digest, is_hub_name
from xlam_lib.paths import base_model_dir, root

PLACES = ["runs/none", "runs/none/", "./none", "../none", "/none", "~/none", "a/b/c", "none", "org/", "", "org/model"]


@pytest.fixture()
def here(tmp_path, monkeypatch):
    """An empty folder with `runs`, and no network: whoever asks for a connection is an error of the test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()

    def refuse(*given, **more):
        raise AssertionError(f"somebody was asked: {given}")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_folder_is_refused_by_name(here, name):
    with pytest.raises(CheckpointError) as raised:
        checked(name)
    assert str(raised.value).startswith(f"{name}: no ")
    assert ("If it is a model of the hub" in str(raised.value)) is (name == "org/model") is is_hub_name(name)


@pytest.mark.parametrize("name", PLACES)
def test_nobody_asks_a_hub(here, name):
    """Everything that reads a checkpoint; the first import of torch may take a while."""
    checkpoint, load = (pytest.importorskip(f"xlam_lib.models.{one}") for one in ("checkpoint", "load"))
    from xlam_lib.models.adapters import merge_adapter
    from xlam_lib.models.gguf import export
    from xlam_lib.serve.engines.transformers import Greedy
    from xlam_lib.serve.engines.vllm import VllmServer

    readers = [checkpoint.load_tokenizer, checkpoint.load_config, load.load_model, load.fresh_model, Greedy, VllmServer]
    readers += [load.load_adapter, lambda name: merge_adapter(name, "out"), lambda name: export(name, "out.gguf")]
    for reader in readers:
        with pytest.raises(CheckpointError):
            reader(name)


LOADERS = ("from_pretrained", "from_config")
NOT_OF_TRANSFORMERS = {"PeftModel"}  # takes no such argument: it runs no code of a checkpoint
SAFE = {"LOCAL", "NO_CODE"}


def calls(path):
    """Calls of loaders in a module, or in the cells of a notebook."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
        text = "\n".join(line for line in lines if not line.startswith(("%", "!")))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_ours = node.func.attr == "from_config" and not ast.unparse(node.func.value).startswith("Auto")
            if node.func.attr in LOADERS and not of_ours:
                yield node


def is_safe(call: ast.Call) -> bool:
    if ast.unparse(call.func.value) in NOT_OF_TRANSFORMERS:
        return any(word.arg == "local_files_only" and ast.unparse(word.value) == "True" for word in call.keywords)
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    spread = {ast.unparse(word.value) for word in call.keywords if word.arg is None}
    return given.get("trust_remote_code") == "False" or bool(spread & SAFE)


def test_no_call_trusts_the_code_of_a_checkpoint():
    places = ("xlam_lib/**/*.py", "experiments/**/*.py", "notebooks/*.ipynb")
    files = [path for place in places for path in root().glob(place)]
    found = [(path, call) for path in files for call in calls(path)]
    assert len(found) > 8
    assert [f"{path}:{call.lineno}" for path, call in found if not is_safe(call)] == []


def test_the_test_would_notice():
    for text in ("A.from_pretrained(x)", "A.from_config(x, trust_remote_code=True)", "PeftModel.from_pretrained(m, x)"):
        assert not is_safe(ast.parse(text).body[0].value)


CODE = "import pathlib\npathlib.Path({canary!r}).touch()\nclass C: pass\n"


@pytest.mark.parametrize("kind", ["model", "tokenizer", "config"])
def test_code_in_a_checkpoint_is_never_run(tmp_path, kind, monkeypatch):
    checkpoint, load = (pytest.importorskip(f"xlam_lib.models.{one}") for one in ("checkpoint", "load"))
    folder, canary = tmp_path / "hostile", tmp_path / "canary"
    shutil.copytree(base_model_dir(), folder)
    (folder / "own.py").write_text(CODE.format(canary=str(canary)))
    names = {"model": {"AutoModelForCausalLM": "own.C"}, "config": {"AutoConfig": "own.C"}}
    if kind == "tokenizer":
        path, found = folder / "tokenizer_config.json", {"AutoTokenizer": ["own.C", None]}
    else:
        path, found = folder / "config.json", names[kind]
    given = json.loads(path.read_text())
    path.write_text(json.dumps(given | {"auto_map": found, "model_type": "own"}))
    for reader in (checkpoint.load_config, checkpoint.load_tokenizer, load.load_model, load.fresh_model):
        with contextlib.suppress(CheckpointError):
            reader(folder)
    assert not canary.exists()


class Bomb:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (open, (self.canary, "w"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.bin"])
def test_pickles_are_never_read(tmp_path, name):
    load = pytest.importorskip("xlam_lib.models.load")
    folder, canary, base = tmp_path / "hostile", tmp_path / "canary", base_model_dir()
    folder.mkdir()
    for path in base.iterdir():
        if path.suffix == ".json":
            shutil.copy(path, folder)
    (folder / name).write_bytes(pickle.dumps(Bomb(str(canary))))
    if name.startswith("adapter"):
        (folder / "adapter_config.json").write_text(
            json.dumps({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]})
        )
        about = {"path": str(base), "digest": digest(base), "quantize": "none", "dtype": "float32"}
        (folder / "base.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="safetensors"):
        load.load_model(folder)
    assert not canary.exists()


@pytest.mark.parametrize(
    "config",
    [
        {"peft_type": "LORA", "r": 2, "target_modules": ["nothing"]},
        {"peft_type": "ODD"},
        {"peft_type": "LORA", "r": "x" * 9},
        {"peft_type": "LORA", "r": 2, "target_modules": "^(a+)+$"},
        {},
    ],
    ids=str,
)
def test_an_adapter_that_is_none(tmp_path, config):
    load = pytest.importorskip("xlam_lib.models.load")
    folder, base = tmp_path / "hostile", base_model_dir()
    folder.mkdir()
    shutil.copy(base / "config.json", folder)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    about = {"path": str(base), "digest": digest(base), "quantize": "none", "dtype": "float32"}
    (folder / "base.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="an adapter that can't be read"):
        load.load_adapter(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"model_type": 5}', '{"model_type": "odd"}', "9" * 5000]
)
@pytest.mark.parametrize("name", ["config.json", "base.json", "adapter_config.json"])
def test_a_file_that_says_nothing(tmp_path, name, text):
    load = pytest.importorskip("xlam_lib.models.load")
    folder, base = tmp_path / "hostile", base_model_dir()
    shutil.copytree(base, folder)
    about = {"path": "nowhere", "digest": digest(base), "quantize": "none", "dtype": "float32"}
    for file, found in (("adapter_config.json", {}), ("base.json", about)):
        (folder / file).write_text(json.dumps(found) if name != "config.json" else "")
    if name == "config.json":
        (folder / "adapter_config.json").unlink()
    (folder / name).write_text(text)
    with pytest.raises(CheckpointError) as raised:
        load.load_model(folder)
    assert len(str(raised.value)) < 5000
