"""The rules that nbval applies before it compares: each takes what it is for and leaves results alone."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from xlam_lib import paths

plugin = pytest.importorskip("nbval.plugin")
CONFIG = Path(__file__).parents[1] / "nbval_sanitize.cfg"
RULES = dict(plugin.get_sanitize_patterns(CONFIG.read_text("utf-8")))


def sanitized(text, rules=RULES):
    for pattern, replacement in rules.items():
        text = re.sub(pattern, replacement, text)
    return text


TAKEN = [
    ("made 2026-11-21", "made DATE"),
    ("at 9:05:01,123 and 10:00:00Z", "at TIME and TIME"),
    ("done: 12.5 s, 3.25ms, 1.5 min", "done: DURATION, DURATION, DURATION"),
    ("trained in 31 s, took 20 ms", "trained in DURATION, took DURATION"),
    ("12,345 tokens/s and 3.2k samples/s", "RATE tokens/s and RATE samples/s"),
    ("<object at 0x7f3a2b4c5d6e>", "<object at ADDRESS>"),
    ("wrote '/tmp/tmpab12/x.json'", "wrote 'TEMPORARY'"),
    ("http://127.0.0.1:43121/v1", "http://127.0.0.1:PORT/v1"),
    ("server has pid 4711", "server has pid NUMBER"),
    ("on cuda:0", "on DEVICE"),
    ("chatcmpl-0123456789abcdef01 chatcmpl-tool-0123456789abcdef", "chatcmpl-ID chatcmpl-tool-ID"),
    ("loss 0.123456, 2.0004999", "loss 0.123, 2.000"),
]
LEFT_ALONE = [
    "seen 0.87, unseen 0.515, 12 of 20 answers, 100 %",
    '{"duration": 10, "unit": "min", "at": "14:30", "port": 8000}',
    "process 12 orders, remind me in 10 min, wait 7 s",
    "call_1 and call_12 answered; 3 tokens; step 1200; epoch 2",
    "32.6K tokens, version 4.2.1, 1 / 3, [0, 1, 2]",
    "date: 21 November 2026, 26-11-21, id 2026-11-2",
    "hash 0x1f, deadbeefdeadbeef",
]


@pytest.mark.parametrize(("before", "after"), TAKEN)
def test_a_rule_takes_what_it_is_for(before, after):
    assert sanitized(before) == after


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_results_are_left_alone(text):
    assert sanitized(text) == text


def test_there_are_few_rules_and_each_has_its_case():
    assert len(RULES) <= 12
    for pattern in RULES:
        others = {p: r for p, r in RULES.items() if p != pattern}
        used = [before for before, after in TAKEN if sanitized(before, others) != after]
        assert used, f"no case needs the rule {pattern}"


def test_a_changed_result_fails_in_exactly_its_cell(tmp_path):
    """The chain of all parts: template, tags, conftest, rules. One stored result is falsified, the other is not."""
    book = nbformat.read(paths.notebooks_dir() / "_template.ipynb", as_version=4)
    printed, _ = (c for c in book.cells if "nbval-check-output" in c.metadata.get("tags", []))
    assert "0.80" in printed.outputs[0].text
    printed.outputs[0].text = printed.outputs[0].text.replace("0.80", "0.81")
    nbformat.write(book, tmp_path / "changed.ipynb")
    (tmp_path / "conftest.py").write_text((paths.root() / "conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    done = subprocess.run(
        [*command, "--nbval-sanitize-with", str(CONFIG), str(tmp_path), "--rootdir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=paths.root(),
    )
    told = done.stdout
    assert "1 failed, 5 passed" in told and "Cell 3" in told, told + done.stderr
