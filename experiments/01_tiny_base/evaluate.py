"""How often the base model gives whole answers of held-out corpus documents right, by kind of document.

An answer counts when every one of its tokens is the model's first choice given what stands before it, which is the
same as greedy decoding giving it exactly. ``python evaluate.py model [--documents 60]`` prints one JSON line.
"""

import argparse
import json
from random import Random

import torch
from corpus import FULL
from transformers import AutoModelForCausalLM, AutoTokenizer

LOCAL = {"local_files_only": True, "trust_remote_code": False}  # a folder of this machine, and no code in it


@torch.no_grad()
def exact_answers(model, tokenizer, segments: list[tuple[str, bool]]) -> list[bool]:
    """One truth value for each answer segment of a document (newlines that close an answer do not count)."""
    coded = tokenizer("".join(t for t, _ in segments), return_offsets_mapping=True, return_tensors="pt", verbose=False)
    best = model(coded.input_ids).logits[0].argmax(-1)
    right = [True] + (best[:-1] == coded.input_ids[0, 1:]).tolist()
    starts, at, out = [s for s, _ in coded.offset_mapping[0].tolist()], 0, []
    for text, answer in segments:
        if answer and text.strip():
            out.append(all(r for r, s in zip(right, starts, strict=True) if at <= s < at + len(text)))
        at += len(text)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--seed", default="held out")
    arguments = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32, **LOCAL).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, **LOCAL)
    result = {}
    for kind in FULL:
        rng = Random(f"{arguments.seed}/{kind.__name__}")
        hits = [hit for _ in range(arguments.documents) for hit in exact_answers(model, tokenizer, kind(rng))]
        result["forms" if kind.__module__ == "forms" else kind.__name__] = round(sum(hits) / len(hits), 3)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
