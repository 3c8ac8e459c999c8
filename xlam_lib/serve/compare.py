"""Do served answers equal offline ones, and how fast do they come? The same prompts, greedily, from every engine.

    python -m xlam_lib.serve.compare runs/sft --data test.jsonl --count 300 --engines vllm transformers llamacpp:q8_0

Used by notebook 04_serving, whose figure `served.equal_offline` comes from here, and by tests:

    served = served_texts(server.base_url, server.model, texts, max_tokens=64)
    equal_offline(served, offline).share  # 1.0
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from xlam_lib import markdown
from xlam_lib.endpoint import named_errors, openai_client
from xlam_lib.errors import as_command
from xlam_lib.files import write_json
from xlam_lib.serve.engines.base import Engine

CONCURRENCY = 16


@dataclass(frozen=True)
class Equality:
    """How many answers are equal, and which are not: `Equality(150, 149, ((17, "served", "offline"),))`."""

    total: int
    equal: int
    differing: tuple[tuple[int, str, str], ...]  # index, served, offline

    @property
    def share(self) -> float:
        """Of all, the equal ones: 0.993."""
        return self.equal / self.total

    def __str__(self) -> str:
        return f"{self.equal} of {self.total} served answers equal the offline ones ({self.share:.1%})"


@dataclass(frozen=True)
class Measured:
    """One engine over all prompts: `Measured("llamacpp:q8_0", 4.1, 61.0, 9210, Equality(300, 297, (...)))`."""

    engine: str
    startup_seconds: float
    seconds: float  # from the first request to the last answer
    tokens: int  # generated
    equality: Equality

    def as_dict(self) -> dict[str, float | int | str]:
        """Plain figures, for a file: {"engine": "vllm", "tokens_per_second": 151.0, "equal": 300, ...}."""
        return {
            "engine": self.engine,
            "startup_seconds": round(self.startup_seconds, 1),
            "seconds": round(self.seconds, 1),
            "tokens": self.tokens,
            "tokens_per_second": round(self.tokens / self.seconds, 1),
            "equal": self.equality.equal,
            "total": self.equality.total,
        }


def equal_offline(server_answers: Sequence[str], offline_answers: Sequence[str]) -> Equality:
    """Compare text with text, character by character: `equal_offline(["a", "b"], ["a", "c"]).share` -> 0.5."""
    if not server_answers or len(server_answers) != len(offline_answers):
        raise ValueError(
            f"{len(server_answers)} served and {len(offline_answers)} offline answers: "
            "expected as many of each, and at least one"
        )
    differing = tuple(
        (index, *pair)
        for index, pair in enumerate(zip(server_answers, offline_answers, strict=True))
        if pair[0] != pair[1]
    )
    return Equality(len(server_answers), len(server_answers) - len(differing), differing)


def served_texts(
    base_url: str, model: str, texts: Sequence[str], max_tokens: int, concurrency: int = CONCURRENCY, api_key: str = ""
) -> list[str]:
    """The greedy continuation of each model text, in order: what the model generates, untouched by any tool parser.

    A model text is the whole input, as `chat_template.model_prompt` writes it: '<|user|>\\n...<|assistant|>\\n'.
    """
    return [text for text, _ in _served(base_url, model, texts, max_tokens, concurrency, api_key)]


def measure(engine: Engine, name: str, texts: Sequence[str], offline: Sequence[str], max_tokens: int) -> Measured:
    """What an engine that isn't started yet takes for these model texts, and how many answers equal the offline ones.

    Example: `measure(engine_of("llamacpp", "runs/sft"), "llamacpp", texts, offline, 128).equality.share` -> 1.0
    """
    began = time.monotonic()
    with engine:
        return measure_running(engine, name, time.monotonic() - began, texts, offline, max_tokens)


def measure_running(
    engine: Engine, name: str, startup_seconds: float, texts: Sequence[str], offline: Sequence[str], max_tokens: int
) -> Measured:
    """The same of an engine that runs and goes on; the caller knows how long its start took."""
    began = time.monotonic()
    served = _served(engine.base_url, engine.model, texts, max_tokens, CONCURRENCY, engine.api_key)
    seconds = time.monotonic() - began
    answers, tokens = [text for text, _ in served], sum(count for _, count in served)
    return Measured(name, startup_seconds, seconds, tokens, equal_offline(answers, offline))


def table(rows: Iterable[Measured]) -> str:
    """Engines side by side, as Markdown: "| engine | start, s | answers, s | tokens/s | equal to offline | ..."."""
    heads = ["engine", "start, s", "answers, s", "tokens/s", "equal to offline"]
    cells = []
    for row in rows:
        equal = f"{row.equality.equal} of {row.equality.total} ({row.equality.share:.1%})"
        speed = f"{row.tokens / row.seconds:.0f}"
        cells.append([row.engine, f"{row.startup_seconds:.0f}", f"{row.seconds:.0f}", speed, equal])
    return markdown.table(heads, cells)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["runs/sft", "--data", "test.jsonl", "--engines", "vllm", "llamacpp:q8_0"])`."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.serve.compare",
        description="Ask every engine the same prompts, greedily, and compare with offline answers in float32.",
    )
    parser.add_argument("model_dir", help="folder of the checkpoint, or a base by name")
    parser.add_argument("--data", type=Path, required=True, help="trajectories, whose prompts are asked")
    parser.add_argument("--count", type=int, default=300, help="of prompts, the first ones")
    parser.add_argument("--max-tokens", type=int, default=128, help="of an answer")
    parser.add_argument("--engines", nargs="+", default=["vllm", "transformers", "llamacpp"], metavar="NAME[:DTYPE]")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return as_command(lambda: _compare(given), status=1)


def _compare(given: argparse.Namespace) -> None:
    from xlam_lib.chat_template import model_prompt, template_style
    from xlam_lib.codec import SEED_STYLE, prompts_of
    from xlam_lib.models.bases import base
    from xlam_lib.serve.engines.transformers import Greedy
    from xlam_lib.serve.server import engine_of
    from xlam_lib.trajectory import read_jsonl

    named = [(name, *name.partition(":")[::2]) for name in given.engines]
    engines = [(name, engine_of(engine, given.model_dir, dtype=dtype or None)) for name, engine, dtype in named]
    decoder = Greedy(base(given.model_dir))
    known = template_style(decoder.tokenizer.chat_template or "")
    style = known[0] if known else SEED_STYLE
    prompts = [prompt for one in read_jsonl(given.data) for _, prompt, _ in prompts_of(one, style)][: given.count]
    began = time.monotonic()
    decoded = decoder.decode(prompts, given.max_tokens)
    seconds, tokens = time.monotonic() - began, sum(one.tokens for one in decoded)
    offline = [one.text for one in decoded]
    rows = [Measured("offline", 0.0, seconds, tokens, equal_offline(offline, offline))]
    texts = [model_prompt(prompt, *decoder.wrapper) for prompt in prompts]
    del decoder
    for name, engine in engines:
        rows.append(measure(engine, name, texts, offline, given.max_tokens))
        print(rows[-1].as_dict(), flush=True)
    print(table(rows))
    if given.out:
        write_json(given.out, [row.as_dict() for row in rows])


def _served(
    base_url: str, model: str, texts: Sequence[str], max_tokens: int, concurrency: int, api_key: str
) -> list[tuple[str, int]]:
    """Text and number of tokens of each continuation."""
    client = openai_client(base_url, api_key, timeout=600.0)

    def ask(text: str) -> tuple[str, int]:
        with named_errors(base_url, model):
            answer = client.completions.create(
                model=model,
                prompt=text,
                max_tokens=max_tokens,
                temperature=0.0,
                extra_body={"add_special_tokens": False},
            )  # the text is whole
        return answer.choices[0].text, answer.usage.completion_tokens if answer.usage else 0

    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        return list(pool.map(ask, texts))


if __name__ == "__main__":
    sys.exit(main())
