import gzip
import json
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from train_demo import STYLE, trajectory

from xlam_lib.chat_template import model_text
from xlam_lib.codec import prompts_of
from xlam_lib.errors import MixtureError
from xlam_lib.models.tokens import IGNORED
from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.mixture.data_objects import TrajectoryData
from xlam_lib.train.mixture.examples import examples
from xlam_lib.train.mixture.interleave import interleave_data
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.mixture.readers import JsonLines
from xlam_lib.trajectory import Trajectory, write_jsonl


class Letters:
    """A tokenizer of letters: "a!" -> [97, 33]."""

    eos_token = "\n"

    def __call__(self, texts, add_special_tokens, verbose):
        assert not add_special_tokens
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}

    def decode(self, ids):
        return "".join(map(chr, ids))


class SFTWebShopMultiTurnV2:
    """A data object as the page's: AgentOhana's steps, invalid actions left out, one text with both templates."""

    def __init__(self, tokenizer, args):
        self.tokenizer, self.args, self.name = tokenizer, args, "SFTWebShopMultiTurn_v2"

    def create_datasets(self, return_type="constant_length", seed=None):
        assert return_type == "basic"
        self.seed = seed
        return self.samples(self.args.train), self.samples(self.args.valid)

    def samples(self, steps):
        valid = [step for step in steps if "Invalid" not in step["next observation"]]
        return [{"prompt": step["input"], "chosen": step["output"]} for step in valid]

    def prepare_sample_text(self, example):
        return f"[INST] {example['prompt']} [/INST]{example['chosen']}</s>"


def steps(number):
    seen = ["Invalid action!", "Results", "Item page", "Bought"]
    return [
        {"input": f"task {i}", "output": f"search[{i}]", "next observation": seen[i % 4]} for i in range(number)
    ]  # fmt: skip


SNIPPET = """
from xlam_lib.seeds import init_device_seed
from xlam_lib.train.mixture.interleave import interleave_data


sft_webshop_multi_turn = webshop_multi_turn_v2.SFTWebShopMultiTurnV2(tokenizer, script_args)

seed = init_device_seed(seed=42)

train_dataset, eval_dataset = \\
    interleave_data(
        data_objects=[sft_webshop_multi_turn],
        sample_probs=[1.0],
        return_type="prompt_answer",
        seq_length=4096,
        seed=seed)
"""


@pytest.mark.parametrize("world", [1, 2])
def test_the_lines_of_the_page_run_as_they_stand(world, monkeypatch):
    """Only the import paths are ours."""
    rows, answers = [], Counter()
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        names = {
            "webshop_multi_turn_v2": SimpleNamespace(SFTWebShopMultiTurnV2=SFTWebShopMultiTurnV2),
            "tokenizer": Letters(),
            "script_args": SimpleNamespace(train=steps(40), valid=steps(8)),
        }
        exec(SNIPPET, names)
        assert names["sft_webshop_multi_turn"].seed == 42, "the same on all devices"
        assert len(names["train_dataset"]) == 30 // world and len(names["eval_dataset"]) == 6 // world
        rows += [*names["train_dataset"], *names["eval_dataset"]]
    for row in rows:
        trained = [label for label in row["labels"] if label != IGNORED]
        answers[Letters().decode(trained)] += 1
        whole = Letters().decode(row["input_ids"])
        assert whole.startswith("[INST] task") and row["input_ids"][-len(trained) :] == trained
        assert set(map(len, row.values())) == {len(whole)}
    valid = [step["output"] + "</s>" for step in steps(40) if "Invalid" not in step["next observation"]]
    assert answers == Counter(valid) + Counter(valid[:6])


@pytest.fixture()
def files(tmp_path):
    """Two unified files; of each ten trajectories one is for evaluation and one is a test's."""
    paths = []
    for name, kind, number in (("one", "multi_step", 30), ("two", "single", 50)):
        made = [replace(trajectory(i, kind), split=("test", "val", "")[min(2, i % 10)]) for i in range(number)]
        path = tmp_path / name / "trajectories.jsonl"
        write_jsonl(path, made)
        paths.append(path)
    return paths


def test_trajectories_become_the_rows_of_sft(files):
    tokenizer = Letters()
    objects = [TrajectoryData(tokenizer, path, STYLE) for path in files]
    train, evaluation = interleave_data(objects, seed=3)
    expected = {"": [], "val": [], "test": []}
    for path in files:
        for one in JsonLines(path, Trajectory.from_dict):
            expected[one.split].append(one)
    for mixture, split in ((train, ""), (evaluation, "val")):
        rows = examples(expected[split], tokenizer, STYLE, 10**6)[0]
        assert sorted(row["input_ids"] for row in mixture) == sorted(list(row.input_ids) for row in rows)
        assert sorted(row["labels"] for row in mixture) == sorted(row.labels for row in rows)
    assert [row["source"] for row in train.table()] == ["one", "two"]
    assert [row["samples"] for row in train.table()] == [48, 40], "two trainable turns, and one"


def test_samples_of_trajectories_name_their_turn(files):
    train, evaluation = interleave_data([TrajectoryData(Letters(), files[0], STYLE)], return_type="basic")
    by_id = {one.trajectory_id: one for one in JsonLines(files[0], Trajectory.from_dict)}
    for sample in [*train, *evaluation]:
        turns = {step: (prompt, answer) for step, prompt, answer in prompts_of(by_id[sample["trajectory_id"]], STYLE)}
        assert turns[sample["step"]] == (sample["prompt"], sample["chosen"])
    text = TrajectoryData(Letters(), files[0], STYLE).prepare_sample_text(sample)
    assert text == model_text(sample["prompt"], sample["chosen"], "\n")


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_too_long_is_left_out_and_the_mixture_holds(stream):
    def source(letter, long):
        samples = [{"prompt": letter * (50 if i % long == 0 else 5), "chosen": str(i)} for i in range(100)]
        return (lambda: iter(samples)) if stream else samples

    objects = {"a": source("a", 2), "b": source("b", 10)}
    train, evaluation = interleave_data(objects, {"b": 0.25, "a": 0.75}, seq_length=10, tokenizer=Letters())
    assert evaluation is None and [row["samples"] for row in train.table()] == [50, 90]
    assert stream or train.left_out == {"a": 50, "b": 10}
    rows = list(train)
    assert max(len(row["input_ids"]) for row in rows) <= 10 and len(rows) == 360
    assert Counter(row["input_ids"][0] for row in rows) == {ord("a"): 270, ord("b"): 90}


def test_token_rows_and_hugging_face_data_sets_pass(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = [{"input_ids": [i, i], "labels": [IGNORED, i]} for i in range(20)]
    whole = datasets.Dataset.from_list(rows)
    sources = {"list": rows, "set": whole, "stream": whole.to_iterable_dataset(num_shards=4)}
    for name, source in sources.items():
        parts = [list(interleave_data({name: source}, seed=DeviceSeed(1, rank, 2))[0]) for rank in range(2)]
        assert sorted(row["input_ids"] for part in parts for row in part) == [row["input_ids"] for row in rows]
        assert all(row["labels"] == [IGNORED, row["input_ids"][0]] for part in parts for row in part)
    whole.to_parquet(str(tmp_path / "rows.parquet"))
    read = list(interleave_data({"file": tmp_path / "rows.parquet"}, return_type="basic")[0])
    assert sorted(row["input_ids"] for row in read) == [row["input_ids"] for row in rows]


def test_files_are_sources(tmp_path):
    values = [{"i": i, "text": "é" * i} for i in range(300)]
    text = "\n\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    lines = JsonLines(tmp_path / "a.jsonl")
    assert list(lines) == values and lines[-1] == values[-1]
    assert pickle.loads(pickle.dumps(lines))[7] == values[7]
    for name in ("a.jsonl", "b.jsonl.gz"):
        assert sorted(row["i"] for row in Mixture({"file": tmp_path / name})) == list(range(300))
    (tmp_path / "a.jsonl").write_text('{"i": 0}\n{"i"\n')
    with pytest.raises(ValueError, match="has 14 bytes, but had .* open it anew"):
        pickle.loads(pickle.dumps(lines))[0]
    with pytest.raises(ValueError, match="a.jsonl: record 2 of 2: Expecting"):
        list(JsonLines(tmp_path / "a.jsonl"))


class Broken(SFTWebShopMultiTurnV2):
    def prepare_sample_text(self, example):
        return example["prompt"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: interleave_data([a], return_type="constant_length"), "return_type is 'constant_length'"),
        (lambda a: interleave_data([a, a]), "two data objects are called 'SFTWebShopMultiTurn_v2'"),
        (lambda a: interleave_data([a], [0.5, 0.5]), "2 probabilities for 1 sources"),
        (lambda a: interleave_data([a], [0.9]), "sum to 0.9"),
        (lambda a: interleave_data([a], seq_length=3), "all 3 samples are longer than 3 tokens"),
        (lambda a: interleave_data("rows.jsonl"), "expected a list"),
        (lambda a: interleave_data([[{"prompt": "a", "chosen": "b"}]], seq_length=9), "pass tokenizer="),
        (lambda a: list(interleave_data([[{"text": "a"}]], tokenizer=Letters())[0]), r"a sample is \['text'\]"),
        (lambda a: list(interleave_data([Broken(a.tokenizer, a.args)])[0]), "nothing would be trained"),
    ],
)
def test_what_cannot_be_interleaved_is_an_error(call, message):
    with pytest.raises(MixtureError, match=message):
        call(SFTWebShopMultiTurnV2(Letters(), SimpleNamespace(train=steps(4), valid=[])))


def test_the_loader_is_imported_without_torch():
    code = (
        "import sys, xlam_lib.train.mixture.interleave, xlam_lib.train.mixture.loader;"
        "import xlam_lib.train.mixture.data_objects;"
        "sys.exit(bool({'torch', 'transformers', 'datasets', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
