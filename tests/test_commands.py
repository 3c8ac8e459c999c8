"""Every command, those that README, Makefile, notebooks and experiments name among them, answers --help under the name
it is called by, and refuses wrong arguments, before anything heavy is loaded: on a busy machine that takes a minute.
"""

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
NAMED = {name for page in PAGES for name in re.findall(r"-m (xlam_lib[\w.]+\w)", page.read_text())}
PARSERS = {
    name
    for path in root().glob("xlam_lib/**/*.py")
    for name in re.findall(r'prog="python -m (xlam_lib[\w.]+)"', path.read_text())
}
COMMANDS = sorted(NAMED | PARSERS)
KEPT = """xlam_lib.data.unify xlam_lib.train.sft xlam_lib.train.sft_lite xlam_lib.train.dpo xlam_lib.train.grpo
xlam_lib.train.plan xlam_lib.serve.server xlam_lib.run xlam_lib.data.apigen xlam_lib.data.apigen.run""".split()
HEAVY = "accelerate bitsandbytes datasets deepspeed peft tensorflow torch transformers trl vllm".split()

NONE = "runs/no/such/folder"
ADAPTERS = "--lora-rank 8"
WRONG = {  # what a user may get wrong -> words of the last line on standard error
    "xlam_lib.train.sft": {
        f"--base {NONE} --data README.md --out o": f"error: {NONE}: no such folder",
        "--base experiments --data README.md --out o": "error: experiments: no checkpoint there",
        "--base org/model --data README.md --out o": "hf download org/model --local-dir FOLDER",
        "--base experiments/01_tiny_base/model --data none.jsonl --out o": "error: none.jsonl: no such file",
        "--data README.md": "the following arguments are required: --base, --out",
        "--base b --data d --out o --batch-size 0": "--batch-size is 0: expected at least 1",
        "--base b --data d --out o --lr -1": "--lr is -1.0: expected above 0",
        "--base b --data d --out o --lr nan": "--lr is nan: expected above 0",
        "--base b --data d --out o --epochs inf": "--epochs is inf: expected above 0",
        "--base b --data d --out o --masked 1.5": "--masked is 1.5: expected at least 0 and at most 1",
        "--base b --data d --out o --lora-dropout 1": "--lora-dropout is 1.0: expected at least 0 and below 1",
        "--base b --data d --out o --shares 1 -1": "--shares is -1.0: expected at least 0",
        "--base b --data d --out o --lora-alpha 4": "error: lora_alpha without lora_rank",
        "--base b --data d --out o --style odd": "invalid choice: 'odd'",
        "no.yaml": "no.yaml: ",
    },
    "xlam_lib.train.sft_lite": {
        f"--base {NONE} --data README.md --out o": f"error: {NONE}: no such folder",
        "--base b --data d --out o --samples -1": "--samples is -1: expected at least 0",
        "--base b --data d --out o --warmup 2": "--warmup is 2.0: expected at least 0 and at most 1",
    },
    "xlam_lib.train.dpo": {
        f"--base {NONE} --pairs README.md --out o": f"error: {NONE}: no such folder",
        "--base experiments/01_tiny_base/model --pairs none.jsonl --out o": "error: none.jsonl: no such file",
        "--base b --pairs d --out o --losses odd": "error: losses: 'odd' is unknown",
        "--base b --pairs d --out o --beta 0": "--beta is 0.0: expected above 0",
        "--base b --pairs d --out o --label-smoothing 0.1": "error: label_smoothing is 0.1, but only",
    },
    "xlam_lib.train.grpo": {
        f"--base {NONE} --data README.md --out o": f"error: {NONE}: no such folder",
        "--base b --data d --out o --generations 1": "--generations is 1: expected at least 2",
        "--base b --data d --out o --batch-size 9": "error: --batch-size 9 with --generations 8",
        f"--base b --data d --out o {ADAPTERS} --lora-dropout 0.1": "error: lora_dropout: answers would be drawn",
    },
    "xlam_lib.train.plan": {"no.yaml": "error: ", "README.md": "error: README.md", "a.yaml --gpus -1": "or more"},
    "xlam_lib.train.preference.contrasts": {"--data no.jsonl --out o": "error: "},
    "xlam_lib.models.adapters": {
        f"{NONE} o": f"error: {NONE}: no such file or folder",
        "experiments o": "error: experiments: no adapter there",
        "o o --dtype int8": "invalid choice: 'int8'",
    },
    "xlam_lib.models.gguf": {
        f"{NONE} o.gguf": f"error: {NONE}: no such folder",
        "org/model o.gguf": "hf download org/model --local-dir FOLDER",
        "o o --dtype int8": "invalid choice: 'int8'",
    },
    "xlam_lib.models.card": {NONE: f"error: {NONE}"},
    "xlam_lib.serve.server": {
        NONE: f"error: {NONE}: no such folder",
        "org/model": "hf download org/model --local-dir FOLDER",
        "experiments/01_tiny_base/model --port -1": "port -1",
        "experiments/01_tiny_base/model --host 0.0.0.0": "needs a key",
    },
    "xlam_lib.bench.tasks.heldout": {"--data no.jsonl --base-url http://127.0.0.1:9/v1 --model m --out o": "error: "},
    "xlam_lib.bench.report": {NONE: "error: "},
    "xlam_lib.perf.speed": {f"--real {NONE}": "--real names no folder", "--real . --rounds 0": "--rounds is 0"},
    "xlam_lib.perf.throughput": {
        "--models odd": "error: --models: 'odd' is unknown",
        "--scale 0": "--scale is 0.0: expected above 0",
        "--lengths 0": "--lengths is 0: expected at least 1",
    },
    "xlam_lib.perf.serving": {
        "--model runs/sft": "the following arguments are required: --data",
        "--model m --data d --clients 0": "--clients is 0: expected at least 1",
        "--model experiments/01_tiny_base/model --data none.jsonl": "error: none.jsonl: no such file or folder",
    },
    "xlam_lib.perf.conversion": {f"--source glaive --input {NONE}": "error: "},
    "xlam_lib.data.unify": {f"--source glaive --input {NONE} --output o": "error: "},
    "xlam_lib.data.apigen.run": {"--functions no_such_module --out o": "error: "},
    "xlam_lib.run": {NONE: "error: "},
    "xlam_lib.batch.notebooks": {"check 99_nothing": "error: "},
}
RUN = """
import contextlib, io, json, os, runpy, sys
heavy, cases = json.loads(sys.argv[1])
os.chdir(sys.argv[2])
answers = []
for name, words in cases:
    sys.argv = [name, *words]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
            status = "returned"
        except SystemExit as end:
            status = end.code
    lines = [line for line in err.getvalue().splitlines() if line.strip()]
    answers.append([status, out.getvalue(), lines[-1] if lines else "", sorted(set(heavy) & sys.modules.keys())])
print(json.dumps(answers))
"""
CASES = [
    *((name, "--help") for name in COMMANDS),
    *((name, "--no-such-option") for name in COMMANDS),
    *((name, words) for name in WRONG for words in WRONG[name]),
]


@pytest.fixture(scope="module")
def answers():
    """(exit status, text, last line of errors, heavy packages loaded by then) of each case, all in one process."""
    cases = json.dumps([HEAVY, [(name, words.split()) for name, words in CASES]])
    line = [sys.executable, "-W", "ignore", "-c", RUN, cases, str(root())]
    done = subprocess.run(line, capture_output=True, text=True, cwd=root(), timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_the_commands_that_users_know_keep_their_names():
    assert set(KEPT) <= NAMED and WRONG.keys() <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_answers_help(name, answers):
    status, text, _, heavy = answers[name, "--help"]
    assert status == 0
    assert f"usage: python -m {name} " in " ".join(text.split())
    assert heavy == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_refuses_an_unknown_option(name, answers):
    status, _, line, heavy = answers[name, "--no-such-option"]
    assert status == 2 and "error: " in line
    assert heavy == []


@pytest.mark.parametrize(("name", "words"), [case for case in CASES if case[0] in WRONG and case[1] in WRONG[case[0]]])
def test_what_a_user_got_wrong_is_refused_before_anything_heavy_is_loaded(name, words, answers):
    status, _, line, heavy = answers[name, words]
    assert status in (1, 2) and WRONG[name][words] in line, line
    assert heavy == []
