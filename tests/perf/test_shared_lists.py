"""Questions about one list of tools: read once, with the loss and gradients of separate rows; steps that share them."""

import json

import pytest

from xlam_lib.codec import prompts_of
from xlam_lib.models import checkpoint
from xlam_lib.perf import shared_lists
from xlam_lib.perf.cases import in_turns
from xlam_lib.train.loop.log import read_log
from xlam_lib.train.packing.packers import SeparatePacker, TriePacker
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.trajectory import write_jsonl


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    path = tmp_path_factory.mktemp("asked") / "train.jsonl"
    write_jsonl(path, shared_lists.questions(8, 4, lists=4))
    return path


def test_questions_are_valid_and_share_their_lists():
    made = shared_lists.questions(8, 4, lists=3)
    for one in made:
        one.validate()
        assert one.steps[-1].tool_calls[0].name in {tool.name for tool in one.tools}
    assert [len({repr(one.tools) for one in made[at : at + 8]}) for at in (0, 8, 16)] == [1, 1, 1]
    assert len({repr(one.tools) for one in made}) == 3 and len({one.trajectory_id for one in made}) == 24
    assert all(prompts_of(one) for one in made)


def test_the_command_counts_and_compares(base, tmp_path, capsys):
    line = ["--base", str(base), "--questions", "8", "--tools", "6", "--rounds", "0", "--exact", "--out", str(tmp_path)]
    assert shared_lists.main(line) == 0
    found = json.loads((tmp_path / shared_lists.FILE).read_text())
    assert found == json.loads(capsys.readouterr().out)
    assert found["tokens_ratio"] == round(found["tokens"] / found["read"], 2) > 4
    assert found["loss"] < 1e-5 and found["gradient"] < 1e-4


def test_a_ratio_below_its_floor_is_a_status(base, tmp_path, monkeypatch):
    line = ["--base", str(base), "--questions", "1", "--tools", "4", "--rounds", "0", "--out", str(tmp_path)]
    assert shared_lists.main(line) == 1, "one question shares nothing"
    times = iter([(2.0, 1.0), (9.0, 4.0), (3.0, 1.0), (10.0, 4.4)])
    monkeypatch.setattr("xlam_lib.perf.comparisons.measure", lambda *given: (next(times), 0))
    beside = []
    found = shared_lists.measured(base, [], 2048, 2, beside)
    assert found["time_ratio"] == round((4.5 + 10 / 3) / 2, 2) and found["processor_ratio"] == 4.2
    assert found["seconds"] == {"tries": [2.0, 3.0], "bfd": [9.0, 10.0]}
    assert [one["way"] for one in beside] == ["tries", "bfd"] * 2 and all(one["cores"] for one in beside)
    assert in_turns({}, 1) == {}


def test_trainings_read_a_list_once_for_its_questions(asked, base, tmp_path):
    """Half a batch of SFT and a sample of SFT-lite are questions about one list; lite's log says what was read."""
    common = {"base": str(base), "data": (str(asked),), "processes": 1, "precision": "float32", "max_length": 2048}
    settings = sft.SftSettings(**common, out=str(tmp_path / "sft"), samples=32, batch_size=16)
    rows, _ = sft._rows(settings, checkpoint.load_tokenizer(base))
    data = sft._for_tries(settings, rows, 32)
    assert [len(set(data["group"][at : at + 8])) for at in range(0, 32, 8)] == [1] * 4
    packed = TriePacker(10**6).pack([[{"input_ids": one["input_ids"], "labels": one["labels"]} for one in data]])
    assert packed.tokens > 3.5 * packed.read
    apart = SeparatePacker(10**6).pack([[{"input_ids": one["input_ids"], "labels": one["labels"]} for one in data]])
    assert apart.tokens == apart.read == packed.tokens and apart.weight == packed.weight
    read = {}
    for together in (1, 8):
        out = tmp_path / f"lite-{together}"
        shared = {"batch_size": 8 // together, "together": together, "log_every": 1}
        sft_lite.train(sft_lite.LiteSettings(**common, **shared, out=str(out)))
        log = read_log(out)
        read[together] = sum(one["read"] for one in log) / len(log)
        assert len(log) == 4
    assert read[8] < 0.3 and 2 * read[8] < read[1]
