"""Pretrain the tiny base model on the generic corpus: two CPU processes (or one GPU), resumable, logged.

Every process draws its own documents from (seed, rank, step), so a resumed run sees what the undisturbed one would.
Tokens that follow from what stands before them weigh 1; the random context weighs less and less as training goes on.

    torchrun --standalone --nproc_per_node 2 pretrain.py OUT --tokenizer TOK --steps 9000
    python pretrain.py OUT --tokenizer TOK --export model     # float16 safetensors, no training
"""

import argparse
import json
import os
import time
from pathlib import Path
from random import Random

import torch
import torch.distributed as dist
from corpus import document
from transformers import AttentionInterface, AttentionMaskInterface, AutoTokenizer, LlamaConfig, LlamaForCausalLM

LOCAL = {"local_files_only": True, "trust_remote_code": False}  # folders of this machine, and no code in them


def causal_attention(module, query, key, value, mask, scaling, blocks=6, **_):
    """Causal attention, a block of queries after the other, each with the keys up to its end alone.

    Compiled in bfloat16 it takes half the time of the CPU's flash kernel or of one full square at 576 tokens.
    """
    length, out = query.shape[2], []
    ends = [length * (i + 1) // blocks for i in range(blocks)]
    for start, end in zip([0, *ends], ends, strict=False):
        scores = query[:, :, start:end] @ key[:, :, :end].transpose(-1, -2) * scaling
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1 + start)
        weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
        out.append(weights.to(value.dtype) @ value[:, :, :end])
    return torch.cat(out, 2).transpose(1, 2).contiguous(), None


def build(vocabulary: int, hidden: int, layers: int, end: int, pad: int) -> LlamaForCausalLM:
    """A Llama with heads of 64 and tied embeddings, in float32."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=hidden * 5 // 2, num_hidden_layers=layers,
        num_attention_heads=hidden // 64, num_key_value_heads=hidden // 64, head_dim=64, max_position_embeddings=2048,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=end, pad_token_id=pad, rope_theta=10000.0,
        initializer_range=0.02,
    )  # fmt: skip
    AttentionInterface.register("causal_attention", causal_attention)
    AttentionMaskInterface.register("causal_attention", lambda *_, **__: None)
    return LlamaForCausalLM(config)


def batch(tokenizer, rng: Random, rows: int, length: int, stage: float, context: float):
    """``(rows, length + 1)`` token ids and label weights. A row begins with a document and ends within one, so that no
    answer stands there without what it is about."""
    ids: list[list[int]] = []
    weights: list[list[float]] = []
    for _ in range(rows):
        row: list[int] = []
        weight: list[float] = []
        while len(row) <= length:
            more, worth = encoded(tokenizer, document(rng, stage), context)
            row += more
            weight += worth
        ids.append(row[: length + 1])
        weights.append(weight[: length + 1])
    return torch.tensor(ids), torch.tensor(weights)


def encoded(tokenizer, segments, context: float) -> tuple[list[int], list[float]]:
    """Token ids and label weights of one document with its end token."""
    text, spans, at = "".join(t for t, _ in segments), [], 0
    for part, answer in segments:
        spans += [(at, at + len(part))] if answer else []
        at += len(part)
    coded = tokenizer(text, return_offsets_mapping=True, verbose=False)
    weights, i = [], 0
    for start, _ in coded.offset_mapping:
        while i < len(spans) and start >= spans[i][1]:
            i += 1
        weights.append(1.0 if i < len(spans) and start >= spans[i][0] else context)
    return coded.input_ids + [tokenizer.eos_token_id], weights + [1.0]


def rate(step: int, steps: int, warm: int = 150, decay: float = 0.4) -> float:
    """Warm-up, stable, linear decay over the last ``decay`` of the run."""
    return min((step + 1) / warm, 1.0, max((steps - step) / (decay * steps), 0.0))


def curriculum(step: int) -> tuple[float, float]:
    """The corpus stage (easy 0.0 to full 1.0) and the weight of context tokens at a step."""
    return min(1.0, max(0.0, (step - 300) / 1200)), max(0.15, 1.0 - step / 1800)


def token_losses(hidden, head, targets):
    """The loss of every token, float32: ``(tokens,)``."""
    logits = torch.nn.functional.linear(hidden, head).float()
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def optimisers(model, arguments):
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "embed" not in n)]
    if arguments.muon:
        first = torch.optim.Muon(
            matrices, lr=arguments.muon, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
    else:
        first = torch.optim.AdamW(matrices, lr=arguments.lr, betas=(0.9, 0.98), weight_decay=0.01)
    return [first, torch.optim.AdamW(rest, lr=arguments.lr, betas=(0.9, 0.98), weight_decay=0.0)]


def save(path: Path, model, optims, step: int) -> None:
    state = {"step": step, "model": model.state_dict(), "optims": [o.state_dict() for o in optims]}
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def train(arguments, rank: int, world: int) -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer, **LOCAL)
    model = build(len(tokenizer), arguments.hidden, arguments.layers, tokenizer.eos_token_id, tokenizer.pad_token_id)
    optims = optimisers(model, arguments)
    peaks = [[g["lr"] for g in o.param_groups] for o in optims]
    checkpoint, start = arguments.out / "checkpoint.pt", 0
    if arguments.init and not checkpoint.exists():
        start = LlamaForCausalLM.from_pretrained(arguments.init, dtype=torch.float32, **LOCAL)
        model.load_state_dict(start.state_dict())
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for o, s in zip(optims, state["optims"], strict=True):
            o.load_state_dict(s)
        start = state["step"]
    log = (arguments.out / "log.jsonl").open("a") if rank == 0 else None
    model.set_attn_implementation("causal_attention")
    core, scores = model.model, token_losses
    if arguments.compile:
        core, scores = torch.compile(core), torch.compile(scores)
    began, seen = time.time(), 0
    for step in range(start, arguments.steps):
        rng = Random(f"{arguments.seed}/{rank}/{step}")
        ids, weights = batch(tokenizer, rng, arguments.rows, arguments.length, *curriculum(step + arguments.skip))
        with torch.autocast("cpu", torch.bfloat16):
            hidden = core(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
            losses = scores(hidden.flatten(0, 1), model.lm_head.weight, ids[:, 1:].flatten())
        weight = weights[:, 1:].flatten()
        loss = (losses * weight).sum() / weight.sum()
        loss.backward()
        if world > 1:
            flat = torch.cat([p.grad.flatten() for p in model.parameters()]) / world
            dist.all_reduce(flat)
            for p, g in zip(model.parameters(), flat.split([p.numel() for p in model.parameters()]), strict=True):
                p.grad.copy_(g.view_as(p))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        factor = rate(step, arguments.steps)
        for o, lrs in zip(optims, peaks, strict=True):
            for group, lr in zip(o.param_groups, lrs, strict=True):
                group["lr"] = lr * factor
            o.step()
            o.zero_grad()
        seen += ids.numel() * world
        if rank == 0 and (step + 1) % arguments.every == 0:
            sure = weight == 1.0
            best = model.lm_head(hidden.detach().float()).argmax(-1).flatten()
            hit = (best == ids[:, 1:].flatten()) & sure
            row = {
                "step": step + 1,
                "loss": round(loss.item(), 4),
                "answer_loss": round(losses[sure].mean().item(), 4),
                "answer_accuracy": round((hit.sum() / sure.sum()).item(), 4),
                "tokens_per_second": round(seen / (time.time() - began)),
                "seconds": round(time.time() - began),
            }
            print(json.dumps(row), file=log, flush=True)
            print(json.dumps(row), flush=True)
        if rank == 0 and (step + 1) % arguments.keep == 0:
            save(checkpoint, model, optims, step + 1)
    if rank == 0:
        save(checkpoint, model, optims, arguments.steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--rows", type=int, default=8, help="rows a process and step")
    parser.add_argument("--length", type=int, default=448)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--muon", type=float, default=0.0, help="learning rate of Muon for the matrices; 0 = AdamW")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--keep", type=int, default=200)
    parser.add_argument("--init", help="an exported model to start from, instead of random weights")
    parser.add_argument("--skip", type=int, default=0, help="steps of the curriculum that lie behind that model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--export", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.export:
        tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer, **LOCAL)
        model = build(
            len(tokenizer), arguments.hidden, arguments.layers, tokenizer.eos_token_id, tokenizer.pad_token_id
        )
        model.load_state_dict(torch.load(arguments.out / "checkpoint.pt", weights_only=True)["model"])
        model.half().save_pretrained(arguments.export)
        tokenizer.save_pretrained(arguments.export)
        return
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        dist.init_process_group("gloo")
    train(arguments, rank, world)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
