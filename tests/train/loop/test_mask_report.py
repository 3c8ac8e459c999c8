"""What is trained is reported for any rows and templates, and a run that would train nothing doesn't begin."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import trl
from train_demo import STYLE, trajectory
from transformers import AutoTokenizer

from xlam_lib.chat_template import chat_template
from xlam_lib.errors import TrainingError
from xlam_lib.grading import grade
from xlam_lib.models import checkpoint
from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.loop import mask_report
from xlam_lib.train.loop.mask_report import MaskReport, check, of_rows, of_template, sampled
from xlam_lib.train.mixture.examples import examples
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import build, write_pairs
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator

CHAT = [
    {"role": "user", "content": "Weather in Oslo?"},
    {"role": "assistant", "content": "It is cold."},
    {"role": "user", "content": "And in Bergen?"},
    {"role": "assistant", "content": "It rains."},
]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n"
    "{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
)


@pytest.fixture()
def tokenizer(base):
    return checkpoint.load_tokenizer(base)


@pytest.fixture()
def chat(base):
    """A tokenizer that stops at <|im_end|>, as many chat models do."""
    made = AutoTokenizer.from_pretrained(base)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    return made


def test_our_own_rows_train_the_answer_and_its_end(tokenizer):
    made, _ = examples([trajectory(0)], tokenizer, STYLE, 1024)
    report = of_rows(({"input_ids": row.input_ids, "labels": row.labels} for row in made), tokenizer)
    answer = len(made[0].input_ids) - made[0].prompt_length
    assert report.share == answer / len(made[0].input_ids)
    assert report == MaskReport(
        rows=1, tokens=len(made[0].input_ids), trained=answer, empty=0, answers=1, ended=1, end="<|endoftext|>",
        marks={}, shifted=0, example=report.example,
    )  # fmt: skip
    assert report.example.startswith("…") and '<|assistant|>\n⟦{"thought": ""' in report.example
    assert report.example.endswith("<|endoftext|>⟧") and not report.problems()
    assert "1 of 1 answers end with '<|endoftext|>'; none of the template's own tokens is" in str(report)


def test_a_template_with_marks_trains_what_stands_between_them(chat):
    report = of_template(chat, [CHAT], chat_template=TEMPLATE)
    words = sum(len(chat.encode(text, add_special_tokens=False)) for text in ("It is cold.", "It rains."))
    assert (report.rows, report.answers, report.ended, report.trained) == (1, 2, 2, words + 2)
    assert "⟦It is cold.<|im_end|>⟧<|im_start|>user" in report.example and not report.problems()


def test_white_space_behind_the_end_token_does_not_matter(chat):
    moved = TEMPLATE.replace("{% endgeneration %}\n", "\n{% endgeneration %}")
    assert of_template(chat, [CHAT], chat_template=moved).ended == 2


@pytest.mark.parametrize("name", ["qwen3_training", "llama3_training", "phi3_training"])
def test_templates_of_others_with_marks(base, name):
    """trl's; each ends an answer with a token of its own."""
    path = Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja"
    end = {"qwen3_training": "<|im_end|>", "llama3_training": "<|eot_id|>", "phi3_training": "<|end|>"}[name]
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"eos_token": end})
    report = of_template(tokenizer, [CHAT], chat_template=path.read_text("utf-8"))
    assert report.answers == report.ended == 2 and report.trained < report.tokens
    assert "It is cold." in report.example or "It rains." in report.example


def test_a_template_that_trains_its_own_tokens_is_odd(chat):
    whole = (
        "{% for m in messages %}{% generation %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>"
        "{% endgeneration %}{% endfor %}"
    )
    report = of_template(chat, [CHAT], chat_template=whole)
    assert report.marks == {"<|im_start|>": 3}  # the first token of all is predicted from nothing
    assert report.problems() == ["the template's own tokens are trained: '<|im_start|>' 3 times"]


def test_answers_without_end_are_counted_and_reported(chat, caplog):
    without = TEMPLATE.replace("<|im_end|>{% endgeneration %}", "{% endgeneration %}<|im_end|>")
    report = of_template(chat, [CHAT], chat_template=without)
    assert (report.answers, report.ended) == (2, 0)
    with pytest.raises(TrainingError, match=r"none of 2 answers ends with the end token '<\|im_end\|>'.*It is cold"):
        check(report)
    assert check(report, "warn") is report and "a model that learns them doesn't stop" in caplog.text


def test_a_template_without_marks_is_an_error_that_tells_what_to_do(tokenizer):
    with pytest.raises(TrainingError, match="doesn't mark what the assistant says.*{% generation %} before"):
        of_template(tokenizer, [CHAT], chat_template="{{ messages[0].content }}")


def test_our_template_marks_the_last_answer_and_its_end(tokenizer):
    tokenizer.chat_template = chat_template(STYLE)
    report = of_template(tokenizer, [CHAT, CHAT[:-1]])
    assert (report.rows, report.answers, report.ended, report.empty) == (2, 1, 1, 1)  # one has no last answer


def test_a_template_that_fails_is_named(tokenizer):
    for template in ("{% generation %}{{ raise_exception('no') }}{% endgeneration %}", "{% generation %}{{"):
        with pytest.raises(TrainingError, match="the chat template can't write conversation 0"):
            of_template(tokenizer, [CHAT], chat_template=template)


def test_no_template_at_all_is_an_error(tokenizer):
    assert tokenizer.chat_template is None
    with pytest.raises(TrainingError, match="has no chat template: set tokenizer.chat_template"):
        of_template(tokenizer, [CHAT])


def test_a_template_that_trains_nothing_stops_the_run(chat):
    nothing = TEMPLATE.replace("m.role == 'assistant'", "m.role == 'model'")
    report = of_template(chat, [CHAT, CHAT], chat_template=nothing)
    assert (report.trained, report.empty, report.example) == (0, 2, "")
    with pytest.raises(TrainingError, match="none of 2 rows has a label, nothing would be trained"):
        check(report)


def test_rows_that_train_nothing_and_shifted_labels_are_reported(tokenizer, caplog):
    end = tokenizer.eos_token_id
    rows = [
        {"input_ids": [7, 8, end], "labels": [IGNORED, 8, end]},
        {"input_ids": [7, 8, end], "labels": [7, IGNORED, IGNORED]},  # the first token is predicted from nothing
        {"input_ids": [7, 8, end], "labels": [8, end, IGNORED]},
        {"input_ids": [7, 8, end], "labels": [IGNORED, 8, end], "weights": [1.0, 0.0, 1.0]},
    ]
    report = of_rows(rows, tokenizer)
    assert (report.trained, report.empty, report.answers, report.ended, report.shifted) == (4, 1, 3, 3, 1)
    with caplog.at_level(logging.INFO):
        check(report)
    messages = [record.message for record in caplog.records]
    assert messages[0] == str(report) and messages[1:] == report.problems() and len(messages) == 3


def test_a_sample_is_spread_evenly():
    assert sampled(range(10), 4) == [0, 2, 5, 7] and sampled([3], 4) == [3] and sampled([], 4) == []


def test_a_long_example_is_cut_around_the_answer(tokenizer):
    ids = tokenizer.encode("Weather in Oslo? " * 100, add_special_tokens=False)
    row = {"input_ids": ids * 2, "labels": [IGNORED] * len(ids) + ids}
    example = of_rows([row], tokenizer).example
    assert example.index("⟦") == mask_report.SHOWN // 3 + 1 and len(example) == mask_report.SHOWN + 2


@pytest.fixture()
def no_end(monkeypatch):
    """Answers come without the end token, in every training."""
    from xlam_lib.train.mixture import examples as module

    original = module.encode
    monkeypatch.setattr(
        module, "encode", lambda tokenizer, texts: original(tokenizer, [t.replace("<|endoftext|>", "") for t in texts])
    )


def test_sft_and_sft_lite_do_not_begin_without_an_end_token(base, data, tmp_path, no_end):
    out = str(tmp_path / "out")
    tries = [
        (sft, sft.SftSettings(base=str(base), data=str(data), out=out, samples=8, precision="float32")),
        (sft_lite, sft_lite.LiteSettings(base=str(base), data=(str(data),), out=out, epochs=0.1, precision="float32")),
    ]
    for module, settings in tries:
        with pytest.raises(TrainingError, match="never stop"):
            module.train(settings)
        assert not Path(out).exists()
    assert module.train(replace(settings, missing_eos_token="warn")) == Path(out)
    mask = json.loads((Path(out) / "run.json").read_text())["mask"]
    assert mask["ended"] == 0 and mask["answers"] == mask["rows"] > 60


def test_dpo_reports_both_answers_as_trl_reads_them(base, cases, tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", build(grade(cases, [case.completion for case in cases]), held_out=0.3))
    settings = dpo.DpoSettings(
        base=str(base), pairs=str(tmp_path / "pairs.jsonl"), out=str(tmp_path / "out"), samples=8, processes=1
    )
    mask = json.loads((dpo.train(settings) / "run.json").read_text())["mask"]
    assert (mask["rows"], mask["answers"], mask["ended"], mask["shifted"]) == (16, 16, 16, 0)
    assert 0 < mask["trained"] < mask["tokens"] and "<|endoftext|>⟧" in mask["example"]


def test_labels_that_come_from_a_collator_are_looked_at(base, data, tokenizer):
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    settings = sft_lite.LiteSettings(base=str(base), data=(str(data),), out="", epochs=1, precision="float32")
    rows = [{"input_ids": [5, 6, tokenizer.eos_token_id]}] * 9
    collator = DataCollatorForLanguageModeling(tokenizer.pad_token_id)
    trainer = SFTFoundationTrainerLite(settings, prepare_accelerator(settings), rows, collator=collator)
    trainer.train()
    assert (trainer.mask.rows, trainer.mask.trained, trainer.mask.ended) == (9, 18, 9)
