"""Several files in one training: drawn by shares, together by trajectory; a single one in the order it always had."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

import pytest
from train_demo import trajectory

from xlam_lib.errors import MixtureError
from xlam_lib.grading import cases_of, grade
from xlam_lib.models import checkpoint
from xlam_lib.settings import from_command_line
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.mixture import inputs
from xlam_lib.train.mixture.examples import Example
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import Pair, build, held_out_elsewhere, read_pairs, write_pairs
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.trajectory import write_jsonl

# What this drew before there were several sources: first 12 digits of the hash of the indices, tries and padded.
DRAWN = {
    (0, 10): ("0f105c31f372", "f5c7942707db"),
    (0, 97): ("7ebc8d8fd8e4", "8ffcf646077c"),
    (0, 150): ("86d80424376a", "fe35955d2cea"),
    (1, 300): ("f0b3e4f640f5", "78ffd0b6a71f"),
    (2, 97): ("27d4b77b11c9", "ecf3c71cc574"),
    (3, 300): ("79e71d0d9d5b", "bc8b0fe25eaa"),
}


def numbered(count: int = 97, source: str = "", first: int = 0) -> list[Example]:
    """Rows whose first token is their number, of trajectories that don't stand together."""
    return [
        Example((first + i, *[5] * ((i * 37) % 91 + 3)), 2, f"{source}t-{i // 3 if i % 5 else i // 4}", i, source)
        for i in range(count)
    ]


def drawn(settings: sft.SftSettings, rows: list[Example], samples: int, how=sft._for_tries) -> list[int]:
    return [row[0] for row in how(settings, rows, samples)["input_ids"]]


@pytest.mark.parametrize(("seed", "samples"), DRAWN)
@pytest.mark.parametrize("shares", [(), (1.0,)])
def test_a_single_file_is_drawn_as_ever(seed, samples, shares):
    settings = sft.SftSettings("b", ("d",), "o", seed=seed, shares=shares)
    found = tuple(
        hashlib.sha256(repr(drawn(settings, numbered(), samples, how)).encode()).hexdigest()[:12]
        for how in (sft._for_tries, sft._for_trl)
    )
    assert found == DRAWN[seed, samples]
    (line,) = sft._draws(settings, numbered()).table(samples)
    assert line["rows"] == samples and line["passes"] == 1 and sft._draws(settings, numbered()).rows(2.0) == 194


@pytest.mark.parametrize("how", [sft._for_tries, sft._for_trl])
@pytest.mark.parametrize("samples", [40, 200, 1000])
def test_several_are_drawn_by_their_shares(how, samples):
    rows = numbered(97, "a") + numbered(60, "b", first=1000)
    settings = sft.SftSettings("b", ("a", "b"), "o", seed=3, shares=(0.25, 0.75))
    found = drawn(settings, rows, samples, how)
    assert len(found) == samples and found == drawn(settings, rows, samples, how)
    assert found != drawn(replace(settings, seed=4), rows, samples, how)
    table = {line["source"]: line for line in sft._draws(settings, rows).table(samples)}
    assert {name: line["rows"] for name, line in table.items()} == Counter("ab"[row >= 1000] for row in found)
    groups = {name: len({row.trajectory_id for row in rows if row.source == name}) for name in "ab"}
    assert {name: line["samples"] for name, line in table.items()} == groups
    assert table["a"]["passes"] == 1 and table["b"]["realised"] == pytest.approx(0.75, abs=0.01)
    mean = {name: sum(row.source == name for row in rows) / groups[name] for name in "ab"}
    expected = 0.75 * mean["b"] / (0.75 * mean["b"] + 0.25 * mean["a"])
    assert table["b"]["rows"] / samples == pytest.approx(expected, abs=0.12 if samples < 100 else 0.05)


def test_a_pass_holds_whole_trajectories_together():
    rows = numbered(97, "a") + numbered(60, "b", first=1000)
    settings = sft.SftSettings("b", ("a", "b"), "o", batch_size=16, seed=1)
    draws = sft._draws(settings, rows)
    assert draws.rows(1.0) == len(rows) and sorted(i for group in next(draws.passes()) for i in group) == [*range(157)]
    found = drawn(settings, rows, 157)
    trajectory_of = {row.input_ids[0]: row.trajectory_id for row in rows}
    assert sorted(found) == sorted(trajectory_of)
    stretches = Counter(name for name, _ in groupby(found, key=trajectory_of.__getitem__))
    assert sum(count > 1 for count in stretches.values()) <= len(stretches) / 8, "only what was over is cut apart"
    first, second = islice(draws.passes(), 2)
    assert first != second and sorted(first) == sorted(second)


def test_trajectories_of_one_name_in_two_files_stay_apart():
    rows = [replace(row, trajectory_id="same") for row in numbered(3, "a") + numbered(3, "b", first=1000)]
    draws = inputs.Draws([row.source for row in rows], [row.trajectory_id for row in rows], (), 0)
    assert sorted(next(draws.passes())) == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("shares", "message"), [((0.5,), "1 probabilities for 2 sources"), ((0.5, 0.6), "sum to 1.1"), ((1, 0), "above 0")]
)
def test_shares_that_fit_no_mixture_are_refused(shares, message):
    with pytest.raises(MixtureError, match=message):
        inputs.Draws(["a", "b"], ["t", "u"], shares, 0)


def test_sources_are_called_after_their_files():
    paths = ["x/webshop/trajectories.jsonl", "y/train.jsonl", "z/pairs.jsonl", "pairs.jsonl"]
    assert list(inputs.named(paths)) == ["webshop", "train", "z", "pairs"]
    assert inputs.named("train.jsonl") == {"train": "train.jsonl"}
    with pytest.raises(runner.TrainingError, match="b/train.jsonl: a second source called 'train'"):
        inputs.named(["a/train.jsonl", "b/train.jsonl"])


@pytest.mark.parametrize(("kind", "field"), [(sft.SftSettings, "data"), (dpo.DpoSettings, "pairs")])
@pytest.mark.parametrize(
    ("lines", "files"), [("one.jsonl", ("one.jsonl",)), ("[one.jsonl, two.jsonl]", ("one.jsonl", "two.jsonl"))]
)
def test_a_recipe_or_a_command_names_one_file_or_several(tmp_path, kind, field, lines, files):
    (tmp_path / "recipe.yaml").write_text(f"base: b\nout: o\n{field}: {lines}\n")
    for argv in ([str(tmp_path / "recipe.yaml")], ["--base", "b", "--out", "o", f"--{field}", *files]):
        given = from_command_line(kind, [*argv, "--shares", "0.7", "0.3"], "x", "X.")
        assert getattr(given, field) == files and given.shares == (0.7, 0.3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of trajectories: of one turn each, and of two."""
    folder = tmp_path_factory.mktemp("files")
    for name, kind, first in (("short", "single", 0), ("long", "multi_step", 100)):
        made = [replace(trajectory(first + i, kind), split="test" if i == 7 else "train") for i in range(30)]
        write_jsonl(folder / f"{name}.jsonl", made)
    return str(folder / "short.jsonl"), str(folder / "long.jsonl")


@pytest.fixture(scope="module")
def settings(base, files, tmp_path_factory):
    return sft.SftSettings(
        base=str(base), data=files, out=str(tmp_path_factory.mktemp("mixed") / "out"), shares=(0.8, 0.2), samples=32,
        masked=0.5, irrelevant=0.2, lr=5e-3, processes=1, precision="float32", log_every=1, save_every=2,
    )  # fmt: skip


def test_a_mixture_trains_and_says_what_it_was(settings, monkeypatch):
    out = sft.train(settings)
    info = json.loads((out / "COMPLETE").read_text())
    assert info["left_out"] == {name: {"of another split": 1} for name in ("short", "long")}
    short, long = info["mixture"]
    assert (short["source"], short["share"], long["realised"]) == ("short", 0.8, pytest.approx(0.2, abs=0.01))
    assert short["rows"] + long["rows"] == 32 and short["rows"] > long["rows"] > 0
    described = info["augmented"]["long"]
    assert described["trajectories"] == 29 and 5 < described["masked"] < 25 and described["irrelevant"] > 0
    losses = curve(read_log(out), "loss")[1]
    assert len(losses) == 4 and losses[-1] < losses[0]

    original, steps = runner.GuardedTrainer.training_step, []

    def step(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(runner.GuardedTrainer, "training_step", step)
    cut = replace(settings, out=settings.out + "-cut")
    with pytest.raises(KeyboardInterrupt):
        sft.train(cut)
    assert (sft.train(cut) / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert steps == [0, 1, 2, 3, 2, 3]


def test_sft_and_sft_lite_read_the_same_rows(settings, files):
    tokenizer = checkpoint.load_tokenizer(settings.base)
    rows, info = sft._rows(settings, tokenizer)
    lite = sft_lite.LiteSettings(settings.base, files, "o", masked=0.5, irrelevant=0.2, max_length=1024)
    mixture, described = sft_lite._mixture(lite, tokenizer)
    assert described == {name: info[name] for name in ("left_out", "augmented")}
    assert sorted(row["input_ids"] for group in mixture for row in group) == sorted(list(r.input_ids) for r in rows)
    with pytest.raises(runner.TrainingError, match="long.jsonl: nothing to train on.*longer than max_length"):
        sft._rows(replace(settings, data=files[1:], max_length=5), tokenizer)


def test_what_files_hold_makes_a_run_and_where_they_lie_does_not(settings, files, tmp_path):
    moved = tuple(str(tmp_path / Path(path).name) for path in files)
    for path, other in zip(files, moved, strict=True):
        Path(other).write_bytes(Path(path).read_bytes())
    described = inputs.describe(settings, "data")
    assert inputs.describe(replace(settings, data=moved), "data") == described and described["sources"] == [
        "short",
        "long",
    ]
    assert inputs.describe(replace(settings, data=files[::-1]), "data") != described
    one = inputs.describe(replace(settings, data=files[:1]), "data")
    assert inputs.describe(replace(settings, data=files[0]), "data") == one and "sources" not in one
    (tmp_path / "short.jsonl").write_text(Path(files[0]).read_text() * 2)
    assert inputs.describe(replace(settings, data=moved), "data") != described


@pytest.fixture(scope="module")
def pairs(files, tmp_path_factory):
    """Two files of pairs, each with some held out."""
    from train_demo import STYLE

    folder = tmp_path_factory.mktemp("pairs")
    for name, kind, first in (("short", "single", 0), ("long", "multi_step", 100)):
        cases = cases_of([trajectory(first + i, kind) for i in range(30)], STYLE)
        write_pairs(folder / f"{name}.jsonl", build(grade(cases, [case.completion for case in cases]), held_out=0.3))
    return str(folder / "short.jsonl"), str(folder / "long.jsonl")


def test_pairs_of_several_files_are_drawn_by_their_shares(base, pairs):
    settings = dpo.DpoSettings(str(base), pairs, "o", shares=(0.25, 0.75), samples=80, batch_size=8)
    tokenizer = checkpoint.load_tokenizer(base)
    chosen, info = dpo._pairs(settings, tokenizer)
    of = Counter("long" if int(pair.trajectory_id.split("-")[1]) >= 100 else "short" for pair in chosen["train"])
    assert of == {line["source"]: line["rows"] for line in info["mixture"]} and of["long"] > 1.8 * of["short"]
    alone = [dpo._pairs(replace(settings, pairs=path, shares=()), tokenizer) for path in pairs]
    assert len(chosen["held_out"]) == sum(len(found["held_out"]) for found, _ in alone), "all of them, of all files"
    whole, info = dpo._pairs(replace(settings, samples=0, shares=(), batch_size=24), tokenizer)
    assert len(whole["train"]) == sum(line["rows"] for line in info["mixture"])
    stretches = Counter(prompt for prompt, _ in groupby(pair.prompt for pair in whole["train"]))
    assert sum(count > 1 for count in stretches.values()) <= len(stretches) / 8, "pairs of a prompt stand together"


def test_a_mixture_of_pairs_trains(base, pairs, tmp_path):
    out = dpo.train(
        dpo.DpoSettings(
            str(base), pairs, str(tmp_path / "out"), shares=(0.5, 0.5), samples=16, batch_size=8, processes=1
        )
    )
    info = json.loads((out / "COMPLETE").read_text())
    assert [line["source"] for line in info["mixture"]] == ["short", "long"] and info["pairs"] == 16


def pair(prompt: str, split: str) -> Pair:
    return Pair(prompt, "a", "b", "made", "no_call", "t", 1, split=split)


def test_a_prompt_that_one_file_holds_out_is_not_trained_on_in_another(base, pairs, tmp_path):
    found = [pair("x", "train"), pair("x", "held_out"), pair("x", "train"), pair("y", "train")]
    assert held_out_elsewhere(found, ["one", "one", "two", "two"]) == {2}
    sides = {split: [one for one in read_pairs(pairs[0]) if one.split == split] for split in ("train", "held_out")}
    turned = [replace(one, split="train") for one in sides["held_out"]]
    write_pairs(tmp_path / "turned.jsonl", [*turned, *read_pairs(pairs[1])])
    settings = dpo.DpoSettings(str(base), (pairs[0], str(tmp_path / "turned.jsonl")), "o")
    chosen, info = dpo._pairs(settings, checkpoint.load_tokenizer(base))
    assert info["held_out_elsewhere"] == len(turned) > 0
    trained, known = ({one.prompt for one in some} for some in (chosen["train"], sides["train"]))
    assert trained & {one.prompt for one in turned} <= known, "but for what the first file itself has on both sides"


def test_a_file_of_pairs_without_training_ones_is_named(base, pairs, tmp_path):
    held_out = [line for line in Path(pairs[0]).read_text().splitlines(True) if '"split": "held_out"' in line]
    (tmp_path / "none.jsonl").write_text("".join(held_out))
    settings = dpo.DpoSettings(str(base), (pairs[1], str(tmp_path / "none.jsonl")), "o")
    with pytest.raises(runner.TrainingError, match="none.jsonl: no train pairs of at most 1024 tokens"):
        dpo._pairs(settings, checkpoint.load_tokenizer(base))
