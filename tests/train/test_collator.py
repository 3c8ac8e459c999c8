"""The collator of the xLAM page, and its training snippet with our import paths."""

import pytest
import torch

from xlam_lib.codec import STYLES
from xlam_lib.train import checkpoint, sft_lite
from xlam_lib.train.collator import DataCollatorForPromptAnswer
from xlam_lib.train.data_objects import TrajectoryData
from xlam_lib.train.interleave import interleave_data
from xlam_lib.train.lite import SFTFoundationTrainerLite, prepare_accelerator
from xlam_lib.train.log import read_log
from xlam_lib.train.processes import TrainingError
from xlam_lib.train.seeds import init_device_seed


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
    assert last["loss"] < first["loss"]
    assert read_log(tmp_path)[0]["read"] > 1, "padded rows are longer than their tokens"
