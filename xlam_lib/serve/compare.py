"""Do served answers equal offline ones? The same prompts, greedily, from a server and from transformers.

Used by notebook 04_serving, whose figure `served.equal_offline` comes from here, and by tests:

    served = served_texts(server.base_url, server.model, texts, max_tokens=64)
    equal_offline(served, offline).share  # 1.0
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from xlam_lib.endpoint import named_errors, openai_client


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
    base_url: str, model: str, texts: Sequence[str], max_tokens: int, concurrency: int = 16, api_key: str = ""
) -> list[str]:
    """The greedy continuation of each model text, in order: what the model generates, untouched by any tool parser.

    A model text is the whole input, as `chat_template.model_prompt` writes it: '<|user|>\\n...<|assistant|>\\n'.
    """
    client = openai_client(base_url, api_key, timeout=600.0)

    def ask(text: str) -> str:
        with named_errors(base_url, model):
            answer = client.completions.create(
                model=model,
                prompt=text,
                max_tokens=max_tokens,
                temperature=0.0,
                extra_body={"add_special_tokens": False},
            )  # the text is whole
        return answer.choices[0].text

    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        return list(pool.map(ask, texts))
