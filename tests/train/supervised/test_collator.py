"""The collator of the xLAM page, and its training snippet with our import paths."""

from types import SimpleNamespace

import pytest
import torch

from xlam_lib.codec import STYLES
from xlam_lib.errors import TrainingError
from xlam_lib.models import checkpoint
from xlam_lib.seeds import DeviceSeed, init_device_seed
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.log import read_log
from xlam_lib.train.mixture.data_objects import TrajectoryData
from xlam_lib.train.mixture.interleave import interleave_data
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.supervised import sft, sft_lite, trainer
from xlam_lib.train.supervised.collator import DataCollatorForPromptAnswer
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator
from xlam_lib.train.supervised.trainer import SFTFoundationTrainer


class Letters:
    """A tokenizer of letters, just enough for the collator."""

    pad_token_id = 0

    def encode(self, text, add_special_tokens=True):
        return [ord(letter) for letter in text]

    def decode(self, ids):
        return "".join(map(chr, ids))


def trained(batch, row=0):
    return "".join(chr(label) if label > 0 else "." for label in batch["labels"][row].tolist())


def rows(*texts):
    return [{"input_ids": [ord(letter) for letter in text]} for text in texts]


def test_answers_between_the_templates_are_trained():
    collator = DataCollatorForPromptAnswer(instruction_template="U:", response_template="A:", tokenizer=Letters())
    batch = collator(rows("U:hi A:yo U:more A:end", "U:x A:y"))
    assert trained(batch, 0) == ".......yo .........end" and trained(batch, 1) == "......y".ljust(22, ".")
    assert batch["attention_mask"].sum(1).tolist() == [22, 7] and batch["input_ids"].shape == (2, 22)
    kept = batch["labels"] != -100
    assert torch.equal(batch["labels"][kept], batch["input_ids"][kept])


def test_without_an_instruction_template_all_behind_the_first_answer_is_trained():
    collator = DataCollatorForPromptAnswer([ord("A"), ord(":")], tokenizer=Letters())
    assert trained(collator(rows("U:hi A:yo U:z"))) == ".......yo U:z"


def test_labels_that_are_there_stay():
    collator = DataCollatorForPromptAnswer("A:", tokenizer=Letters())
    assert collator([{"input_ids": [1, 2, 3], "labels": [-100, 2, -100]}])["labels"].tolist() == [[-100, 2, -100]]


def test_a_row_without_an_answer_is_an_error():
    collator = DataCollatorForPromptAnswer("A:", tokenizer=Letters())
    with pytest.raises(TrainingError, match="nothing to train: the response template .* ends with 'U:hi'"):
        collator(rows("U:hi"))
    for wrong in ({"mlm": True}, {"response_template": ""}):
        with pytest.raises(ValueError):
            DataCollatorForPromptAnswer(**{"response_template": "A:", "tokenizer": Letters(), **wrong})


def test_the_snippet_of_the_page_runs(base, data, tmp_path):
    """As printed there, but for import paths, the data object, and where the templates come from."""
    tokenizer = checkpoint.load_tokenizer(base)
    script_args = sft_lite.LiteSettings(base=str(base), data=(), out="", epochs=0.2, lr=5e-3, precision="float32")
    sft_webshop_multi_turn = TrajectoryData(tokenizer, data, STYLES["brief"], name="webshop")
    before, after = checkpoint.wrapper(tokenizer)
    instruction_template_ids, response_template_ids = (tokenizer.encode(text) for text in (before, after))

    seed = init_device_seed(seed=42)

    train_dataset, eval_dataset = interleave_data(
        data_objects=[sft_webshop_multi_turn],
        sample_probs=[1.0],
        return_type="prompt_answer",
        seq_length=4096,
        seed=seed,
    )

    collator = DataCollatorForPromptAnswer(
        instruction_template=instruction_template_ids,
        response_template=response_template_ids,
        tokenizer=tokenizer,
        mlm=False,
    )

    accelerator = prepare_accelerator(script_args)
    trainer = SFTFoundationTrainerLite(
        args=script_args,
        accelerator=accelerator,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        collator=collator,
    )

    first = trainer._step(0, next(trainer._batches(0)))
    trainer.train(tmp_path)
    last = trainer._step(0, next(trainer._batches(0)))
    logged = read_log(tmp_path)[-1]
    assert last["loss"] < first["loss"] and logged["padding"] > 0, "padded rows are longer than their tokens"


def test_the_snippet_of_the_page_runs_with_the_first_trainer(base, data, tmp_path):
    """v1: as the other one but for the accelerator, here with adapters and evaluation."""
    tokenizer = checkpoint.load_tokenizer(base)
    script_args = sft.SftSettings(
        base=str(base), data="", out=str(tmp_path / "out"), epochs=1.5, lr=2e-2, precision="float32", lora_rank=4,
        log_every=1, save_every=4,
    )  # fmt: skip
    before, after = checkpoint.wrapper(tokenizer)
    instruction_template_ids, response_template_ids = (tokenizer.encode(text) for text in (before, after))

    seed = init_device_seed(seed=42)

    train_dataset, _ = interleave_data(
        data_objects=[TrajectoryData(tokenizer, data, STYLES["brief"], name="webshop")],
        sample_probs=[1.0],
        return_type="prompt_answer",
        seq_length=4096,
        seed=seed,
    )
    eval_dataset = [row for row, _ in zip(train_dataset, range(8), strict=False)]

    collator = DataCollatorForPromptAnswer(
        instruction_template=instruction_template_ids,
        response_template=response_template_ids,
        tokenizer=tokenizer,
        mlm=False,
    )

    trainer = SFTFoundationTrainer(
        args=script_args,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        collator=collator,
    )

    first = trainer.evaluate()["eval_loss"]
    trainer.train()
    logged = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert len(logged) == 1 + trainer.state.max_steps // 4 and logged[-1] < first - 0.2
    assert len(trainer.train_dataset) == round(1.5 * len(train_dataset))
    without = SFTFoundationTrainer(script_args, train_dataset, eval_dataset, work=tmp_path / "work")
    assert without.evaluate()["eval_loss"] == pytest.approx(first, rel=1e-4), "tries, or padded rows: the same loss"


def test_the_parts_of_all_devices_are_trained_each_by_its_own(base, tmp_path, monkeypatch):
    """trl deals batches out in turn: a mixture of two devices must come to it so that each gets its own part."""
    samples = [{"input_ids": [number] * 3, "labels": [number] * 3} for number in range(11)]
    args = sft.SftSettings(base=str(base), data="", out="", batch_size=4)
    parts = [list(Mixture({"a": samples}, seed=DeviceSeed(1, rank=rank, world=2))) for rank in range(2)]
    logged = SimpleNamespace(num_processes=2)
    for module in (trainer, runner):
        monkeypatch.setattr(module, "state", lambda: logged)
    for rank in range(2):
        mixture = Mixture({"a": samples}, seed=DeviceSeed(1, rank=rank, world=2))
        rows = trainer.as_dataset(mixture, args, 1.0)["input_ids"]
        assert sorted(row[0] for row in rows) == list(range(11))
        assert rows[:8] == [one["input_ids"] for part in (0, 2) for own in parts for one in own[part : part + 2]]
        twice = trainer.as_dataset(mixture, args, 2.0)["input_ids"]
        assert sorted(row[0] for row in twice[11:]) == list(range(11)) and twice[11:] != twice[:11]
    logged.num_processes = 3
    with pytest.raises(TrainingError, match="the mixture is made for 2 devices, but there are 3"):
        trainer.as_dataset(mixture, args, 1.0)
    with pytest.raises(TrainingError, match="no folder for checkpoints"):
        SFTFoundationTrainer(args, samples)
