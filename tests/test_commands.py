"""Every command that README, Makefile, notebooks and experiments name answers --help under the name it is called by."""

import json
import re
import subprocess
import sys

import pytest

from xlam_lib.paths import root

PAGES = [
    root() / "README.md",
    root() / "CONTRIBUTING.md",
    root() / "Makefile",
    *root().glob("notebooks/*.ipynb"),
    *root().glob("experiments/**/*.md"),
]
COMMANDS = sorted({name for page in PAGES for name in re.findall(r"-m (xlam_lib[\w.]+\w)", page.read_text())})
KEPT = """xlam_lib.data.unify xlam_lib.train.sft xlam_lib.train.sft_lite xlam_lib.train.dpo xlam_lib.train.grpo
xlam_lib.train.plan xlam_lib.serve.server xlam_lib.run xlam_lib.data.apigen xlam_lib.data.apigen.run""".split()
HEAVY = ("xlam_lib.train.", "xlam_lib.models.", "xlam_lib.perf.")  # their settings are described beside what they run
HELP = """
import contextlib, io, json, runpy, sys
answers = {}
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
            status = "returned"
        except SystemExit as end:
            status = end.code
    answers[name] = [status, out.getvalue(), sorted({"torch", "transformers", "trl", "vllm"} & sys.modules.keys())]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers():
    """(exit status, text, heavy packages loaded) by command; the light ones first, each in the same process."""
    names = sorted(COMMANDS, key=lambda name: name.startswith(HEAVY))
    line = [sys.executable, "-W", "ignore", "-c", HELP, *names]
    done = subprocess.run(line, capture_output=True, text=True, cwd=root())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_commands_that_users_know_keep_their_names():
    assert set(KEPT) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_answers_help(name, answers):
    status, text, heavy = answers[name]
    assert status == 0
    assert f"usage: python -m {name} " in " ".join(text.split())
    assert name.startswith(HEAVY) or heavy == []
