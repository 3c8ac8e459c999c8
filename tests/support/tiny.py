"""A tiny Llama that has learnt a handful of answers by heart, made in seconds: something real to serve in tests."""

from __future__ import annotations

import json
from pathlib import Path

from xlam_lib.chat_template import chat_template
from xlam_lib.codec import BRIEF_STYLE

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object"}}},
]
CALLS = [
    {"name": "get_weather", "arguments": {"city": "Oslo"}},
    {"name": "get_weather", "arguments": {"city": "Malmö", "days": 2}},
]


def user(text):
    return [{"role": "user", "content": text}]


TWO_CALLS = user("Weather in Oslo, and in Malmö for 2 days?")
SERVED = [
    {
        "id": f"call_{i}",
        "type": "function",
        "function": {**call, "arguments": json.dumps(call["arguments"], ensure_ascii=False)},
    }
    for i, call in enumerate(CALLS)
]
RESULTS = [
    *TWO_CALLS,
    {"role": "assistant", "content": "Two cities, two calls.", "tool_calls": SERVED},
    {"role": "tool", "tool_call_id": "call_0", "name": "get_weather", "content": '{"celsius": 4}'},
    {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": '{"celsius": 5}'},
]
LEARNT = {  # conversation -> what the model says
    "two calls": (
        TWO_CALLS,
        json.dumps({"thought": "Two cities, two calls.", "tool_calls": CALLS}, ensure_ascii=False),
    ),
    "results": (RESULTS, '{"thought": "4 degrees in Oslo,\\n5 in \\"Malmö\\". \\ud83d\\ude00", "tool_calls": []}'),
    "list": (user("What time is it?"), '[{"name": "now", "arguments": {}}]'),
    "words": (user("Tell a joke."), "No joke [today]: sorry 😀."),
    "broken": (user("Break off."), '{"thought": "Hm.", "tool_calls": [{"name": '),
}


def make_model(folder: Path, steps: int = 600, learnt=None, vocabulary: int = 1000) -> Path:
    """A checkpoint with tokenizer and chat template in `folder`, trained until it answers all that it learns exactly.

    `learnt` is [(messages, tools, answer)], by default LEARNT. Where it is given, tokens may be long: whole sentences
    of the prompts are one, which makes long prompts short; answers stay in small pieces.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    plain = make_tokenizer([])
    given = learnt or [(conversation, TOOLS, answer) for conversation, answer in LEARNT.values()]
    rows = [(prompt_text(plain, conversation, tools), answer) for conversation, tools, answer in given]
    texts = [prompt if learnt else prompt + answer for prompt, answer in rows]
    tokenizer = make_tokenizer(texts, vocabulary, words=not learnt)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them only wait for one another, beside other programs for minutes
    try:
        train(model, tokenizer, steps, rows)
    finally:
        torch.set_num_threads(threads)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(texts, vocabulary=1000, words=True):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)
    raw.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|user|>", "<|assistant|>"]
    raw.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = chat_template(BRIEF_STYLE)
    return tokenizer


def prompt_text(tokenizer, conversation, tools=TOOLS):
    return tokenizer.apply_chat_template(conversation, tools=tools, tokenize=False, add_generation_prompt=True)


def train(model, tokenizer, steps, texts):
    """By heart: full batches until each answer token is certain, or the steps are used up (then it raises)."""
    import torch

    rows = []
    for prompt, answer in texts:
        prompt_ids = tokenizer(prompt)["input_ids"]
        answer_ids = tokenizer(answer)["input_ids"] + [tokenizer.eos_token_id]
        rows.append((prompt_ids + answer_ids, [-100] * len(prompt_ids) + answer_ids))
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [tokenizer.eos_token_id] * (width - len(row)) for row, _ in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for _, row in rows])[:, 1:]
    learnt = labels != -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        hidden = model.model(input_ids=ids).last_hidden_state[:, :-1][learnt]  # the vocabulary at these places alone
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden), labels[learnt])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.005:
            return
    raise RuntimeError(f"the tiny model did not learn its {len(rows)} answers in {steps} steps (loss {loss:.3f})")


def offline(folder: Path, texts: list[str], max_new_tokens: int) -> list[str]:
    """Greedy continuations by transformers in float32, one by one."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    answers = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        answers.append(tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return answers
