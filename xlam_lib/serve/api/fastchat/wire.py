"""What our API and our worker say to one another through FastChat, which carries two texts: a prompt and its answer.

    prompt = order([17, 43], Sampling(64, seed=1))     # as `prompt` of FastChat's /v1/completions
    ids, sampling = read_order(prompt)
    text = line(Piece("Hi", 1)) + line(Piece("", 2, "stop"))     # as the `text` of its answer

FastChat's requests have no field for token ids, seeds and schemas, its streams none for counted tokens, and it takes
U+FFFD out of what it streams; in JSON of ASCII alone nothing gets lost, and a line feed ends a piece.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from xlam_lib.serve.api.generation import Piece, RefusedError, Sampling

REFUSED, FAILED = 40302, 50001  # FastChat's error codes PARAM_OUT_OF_RANGE and INTERNAL_ERROR
ORDER = "\x1exlam order "  # no text of a person begins so


def order(ids: list[int], sampling: Sampling) -> str:
    """A prompt that says which tokens are gone on with, and how."""
    return ORDER + json.dumps({"ids": ids, "sampling": asdict(sampling)})


def read_order(prompt: str) -> tuple[list[int], Sampling] | None:
    """(ids, sampling) of a prompt that `order` wrote; None for any other, a RefusedError for a broken one."""
    if not prompt.startswith(ORDER):
        return None
    try:
        found = json.loads(prompt[len(ORDER) :])
        ids, sampling = found["ids"], found["sampling"]
        return ids, Sampling(**{**sampling, "stop": tuple(sampling["stop"])})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError(f"an order for the worker that can't be read ({error!r:.200})") from error


def line(piece: Piece) -> str:
    """A piece as a line: '["Hi", 1, ""]\\n'."""
    return json.dumps([piece.text, piece.tokens, piece.finish_reason]) + "\n"


def read_line(written: str) -> Piece:
    """The piece of a line, with its line feed or without."""
    return Piece(*json.loads(written))
