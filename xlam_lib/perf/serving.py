"""Requests a second of a served model, and whether any is lost when the server is killed: `serving.json`.

    python -m xlam_lib.perf.serving --model runs/quickstart/sft --data runs/data/train.jsonl

The questions are the opening messages of the data's trajectories with their tools, each asked once as long as there are
enough. They are put one after another, by many clients at once, to transformers' own `generate` in padded batches, and
to our offline decoding, which reads what prompts begin with alike once and lets go of rows that have ended; then again
while the server is killed and started anew, when each must end with an answer or an error of the infrastructure. Run it
on a machine that does nothing else: figures stand beside each other only then.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlam_lib.codec import BRIEF_STYLE, history_steps, render_prompt
from xlam_lib.errors import XlamError, as_command
from xlam_lib.files import write_json
from xlam_lib.settings import from_command_line
from xlam_lib.settings.options import COUNT, option
from xlam_lib.trajectory import Trajectory, read_jsonl
from xlam_lib.views import to_openai, tools_to_openai

if TYPE_CHECKING:  # a command answers --help without it
    from xlam_lib.serve.client import xLAMChatCompletion
    from xlam_lib.serve.engines.vllm import VllmServer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What is asked, how often, and how many at once."""

    model: str = option(..., "folder of the checkpoint, or a base by name")
    data: str = option(..., "trajectories (.jsonl) whose questions are asked")
    out: str = option("runs/serving", "folder of serving.json")
    requests: int = option(2000, "requests by many clients at once", within=COUNT)
    clients: int = option(64, "clients at the same time", within=COUNT)
    alone: int = option(100, "requests one after another", within=COUNT)
    batched: int = option(256, "prompts that are answered in batches, without a server", within=COUNT)
    batch_size: int = option(32, "of transformers' generate", within=COUNT)
    max_tokens: int = option(96, "tokens of an answer, at most", within=COUNT)
    kills: int = option(5, "how often the server is killed", within=COUNT)
    interrupted: int = option(500, "requests during which it is killed", within=COUNT)


@dataclass(frozen=True)
class Question:
    """What a user asks first, with the tools: as the server is asked, and as the prompt that it writes of it."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    prompt: str


def questions_of(trajectories: Iterable[Trajectory]) -> list[Question]:
    """The questions of trajectories: `questions_of(read_jsonl(path))[0].messages`."""
    found = []
    for one in trajectories:
        opening = [step for step in one.steps if step.role == "user"][:1]
        prompt = render_prompt(one.tools, *history_steps(opening), BRIEF_STYLE)
        found += [Question(to_openai(opening), tools_to_openai(one.tools), prompt)] if opening else []
    if not found:
        raise XlamError("the data holds no message of a user, so nothing can be asked")
    return found


def ask(client: xLAMChatCompletion, questions: Sequence[Question], clients: int) -> tuple[list[Any], float]:
    """The responses or errors in order, and the seconds that they took, `clients` on their way at once."""
    from concurrent.futures import ThreadPoolExecutor

    from xlam_lib.endpoint import ClientError

    def one(question: Question) -> Any:
        try:
            return client.completion(question.messages, question.tools)
        except ClientError as error:
            return error

    began = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(one, questions))
    return found, time.monotonic() - began


def outcomes(found: Sequence[Any]) -> dict[str, int]:
    """How many ended how: {"answer": 480, "ServerUnreachableError": 20}."""
    return dict(Counter("answer" if isinstance(one, dict) else type(one).__name__ for one in found))


def interrupted(
    server: VllmServer, client: xLAMChatCompletion, questions: Sequence[Question], clients: int, kills: int, rate: float
) -> dict[str, Any]:
    """The outcomes of requests during which the server is killed: in each part once, when half of it is answered.

    When that is follows from `rate`, the requests a second of a server that nothing disturbs.
    """
    found: list[Any] = []
    began = time.monotonic()
    for start in range(kills):
        killer = threading.Timer(len(questions) / kills / rate / 2, os.killpg, (server.pid, signal.SIGKILL))
        killer.start()
        found += ask(client, questions[start::kills], clients)[0]
        killer.join()
        server.stop()
        server.start()
    in_order = [one for start in range(kills) for one in questions[start::kills]]
    lost = [one for one, end in zip(in_order, found, strict=True) if not isinstance(end, dict)]
    return {
        "kills": kills,
        "requests": len(questions),
        "ended": outcomes(found),
        "asked_again": outcomes(ask(client, lost, clients)[0]),
        "seconds": round(time.monotonic() - began, 1),
    }


def generated(model: str, questions: Sequence[Question], max_tokens: int, batch_size: int) -> float:
    """Questions a second of transformers' own greedy `generate`, in left-padded batches, in the order given."""
    import torch

    from xlam_lib.chat_template import model_prompt
    from xlam_lib.models import checkpoint, load
    from xlam_lib.models.bases import base
    from xlam_lib.models.tokens import encode

    folder = base(model)
    tokenizer, loaded = checkpoint.load_tokenizer(folder), load.load_model(folder, "float32").eval()
    wrapper = checkpoint.wrapper(tokenizer)
    rows = encode(tokenizer, [model_prompt(one.prompt, *wrapper) for one in questions])
    given = {"max_new_tokens": max_tokens, "do_sample": False}
    given |= {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.eos_token_id}
    began = time.monotonic()
    for first in range(0, len(rows), batch_size):
        batch = rows[first : first + batch_size]
        width = max(map(len, batch))
        ids = torch.tensor([[tokenizer.eos_token_id] * (width - len(row)) + row for row in batch])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch])
        with torch.inference_mode():
            loaded.generate(input_ids=ids, attention_mask=mask, **given)
    return len(rows) / (time.monotonic() - began)


def batched(model: str, questions: Sequence[Question], max_tokens: int) -> float:
    """Questions a second of our offline greedy decoding, with the prompts that the server writes."""
    from xlam_lib.models.bases import base
    from xlam_lib.serve.engines.transformers import Greedy

    greedy, prompts = Greedy(base(model)), [one.prompt for one in questions]
    greedy.decode(prompts[:2], max_tokens)
    began = time.monotonic()
    greedy.decode(prompts, max_tokens)
    return len(prompts) / (time.monotonic() - began)


def measure(settings: Settings) -> dict[str, Any]:
    """All figures of one model."""
    from xlam_lib.models.bases import base
    from xlam_lib.models.folders import existing
    from xlam_lib.serve.client import xLAMChatCompletion, xLAMConfig
    from xlam_lib.serve.engines.vllm import ServerFlags, VllmServer

    questions = questions_of(read_jsonl(existing(settings.data)))
    in_batches = batched(settings.model, questions[: settings.batched], settings.max_tokens)
    plain = generated(settings.model, questions[: settings.batched], settings.max_tokens, settings.batch_size)
    logger.info("a second: transformers' generate %.2f, our decoding %.2f", plain, in_batches)
    with VllmServer(base(settings.model), flags=ServerFlags(max_num_seqs=settings.clients)) as server:
        config = xLAMConfig(server.base_url, server.model, max_tokens=settings.max_tokens, max_retries=0)
        client = xLAMChatCompletion.from_config(config)
        ask(client, questions[:4], 4)
        asked = list(islice(cycle(questions), settings.alone + settings.requests))
        _, alone = ask(client, asked[: settings.alone], 1)
        logger.info("one after another: %.2f a second", settings.alone / alone)
        found, seconds = ask(client, asked[settings.alone :], settings.clients)
        logger.info("%d clients: %.2f a second, %s", settings.clients, settings.requests / seconds, outcomes(found))
        during = list(islice(cycle(questions), settings.interrupted))
        rate = settings.requests / seconds
        kept = interrupted(server, client, during, settings.clients, settings.kills, rate)
    rates = {
        "alone": settings.alone / alone,
        "at_once": rate,
        "transformers_generate": plain,
        "our_decoding": in_batches,
    }
    return {
        "settings": asdict(settings),
        "requests_a_second": {name: round(rate, 2) for name, rate in rates.items()},
        "at_once_over_alone": round(rates["at_once"] / rates["alone"], 2),
        "at_once_over_generate": round(rates["at_once"] / rates["transformers_generate"], 2),
        "at_once_over_our_decoding": round(rates["at_once"] / rates["our_decoding"], 2),
        "ended": outcomes(found),
        "interrupted": kept,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """The command; writes `serving.json` and shows it."""
    settings = from_command_line(Settings, argv, "xlam_lib.perf.serving", "Load and faults of a served model.")

    def run() -> None:
        found = measure(settings)
        write_json(Path(settings.out) / "serving.json", found)
        print(json.dumps(found, indent=2))

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # of the openai package: a line for each request
    return as_command(run, status=1)


if __name__ == "__main__":
    sys.exit(main())
