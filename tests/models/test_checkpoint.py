import json
import shutil

import pytest
import torch
from train_demo import STYLE

from xlam_lib.chat_template import chat_template, wrapper_of
from xlam_lib.errors import CheckpointError
from xlam_lib.files import is_complete
from xlam_lib.models import checkpoint, load


@pytest.fixture()
def copy(base, tmp_path):
    return shutil.copytree(base, tmp_path / "copy")


def test_float16_on_disk_is_float32_in_memory(base):
    model = load.load_model(base)
    assert {values.dtype for values in model.parameters()} == {torch.float32}
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_fresh_model_is_the_same_architecture_with_other_weights(base):
    model, fresh = load.load_model(base), load.fresh_model(base, seed=3)
    shapes = [{name: values.shape for name, values in one.named_parameters()} for one in (model, fresh)]
    assert shapes[0] == shapes[1]
    weights = [one.model.embed_tokens.weight for one in (model, fresh, load.fresh_model(base, seed=3))]
    assert torch.equal(weights[1], weights[2]) and not torch.equal(weights[0], weights[1])


def test_saved_whole_with_template_and_loaded_back(base, tmp_path):
    model, tokenizer = load.load_model(base), checkpoint.load_tokenizer(base)
    out = checkpoint.save(tmp_path / "out", model, tokenizer, STYLE, {"note.txt": "hello"}, {"steps": 3})
    assert is_complete(out) and json.loads((out / "COMPLETE").read_text()) == {"steps": 3}
    assert (out / "note.txt").read_text() == "hello" and list(out.glob("*.safetensors"))
    again = checkpoint.load_tokenizer(out)
    assert again.chat_template == chat_template(STYLE) and checkpoint.wrapper(again) == ("<|user|>", "<|assistant|>")
    for name, values in load.load_model(out).state_dict().items():
        assert torch.equal(values, model.state_dict()[name])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_weights_that_are_not_finite_are_not_saved(base, tmp_path):
    model = load.load_model(base)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    with pytest.raises(CheckpointError, match=r"not finite \(model.norm.weight\)"):
        checkpoint.save(tmp_path / "out", model, checkpoint.load_tokenizer(base), STYLE)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("load", [load.load_model, checkpoint.load_tokenizer, load.fresh_model])
def test_no_checkpoint_says_what_was_expected(load, tmp_path):
    with pytest.raises(CheckpointError, match="no such folder.*hf download"):
        load(tmp_path / "nowhere")


def test_weights_cut_off_are_named(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="can't be read .*cut off"):
        load.load_model(copy)


def test_pickled_weights_are_not_read(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="only safetensors"):
        load.load_model(copy)


def changed(folder, **change):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    return checkpoint.load_tokenizer(folder)


def test_a_tokenizer_without_an_end_is_refused(copy):
    with pytest.raises(CheckpointError, match="no end token"):
        changed(copy, eos_token=None)


@pytest.mark.parametrize("pad", [None, "<|endoftext|>"])
def test_what_pads_may_be_the_end(copy, pad):
    tokenizer = changed(copy, pad_token=pad)
    assert tokenizer.pad_token == tokenizer.eos_token == "<|endoftext|>"


def test_wrapper_is_ours_without_a_template_and_carried_over_from_another(base):
    tokenizer = checkpoint.load_tokenizer(base)
    assert checkpoint.wrapper(tokenizer) == ("<|user|>", "<|assistant|>")
    tokenizer.chat_template = (
        "<s>{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    wrapper = checkpoint.wrapper(tokenizer)
    assert wrapper == ("<s><|im_start|>user", "<|im_end|>\n<|im_start|>assistant")
    assert wrapper_of(chat_template(STYLE, *wrapper)) == wrapper
    tokenizer.chat_template = "[INST] {{ messages[0].content }} [/INST]"
    assert checkpoint.wrapper(tokenizer) == ("[INST]", " [/INST]"), "a line break in place of a space, not two"
    tokenizer.chat_template = "{{ messages[0].content | upper }}"
    with pytest.raises(CheckpointError, match="doesn't repeat a user's message"):
        checkpoint.wrapper(tokenizer)
    for broken in ("{{ messages[", "{{ raise_exception('roles must alternate') }}"):
        tokenizer.chat_template = broken
        with pytest.raises(CheckpointError, match="can't write a user's message .*remove it to train with our own"):
            checkpoint.wrapper(tokenizer)
