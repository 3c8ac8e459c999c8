"""The backends that compute in this process, and the options by which a command makes one.

    arguments(parser)
    backend = backend_of(parser.parse_args(["transformers", "runs/sft", "--dtype", "bfloat16"]))

Used by our API's program (`api/__main__.py`) and by FastChat's worker (`api/fastchat`); both serve notebook 04.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from xlam_lib.serve.api.generation import Backend


def arguments(parser: argparse.ArgumentParser, more: tuple[str, ...] = ()) -> None:
    """Add what a backend is made of to a parser; `more` are names of other backends that may be chosen."""
    parser.add_argument("backend", choices=(*BACKENDS, *more))
    parser.add_argument("model", help="a GGUF file for llamacpp, the folder of a checkpoint for transformers")
    parser.add_argument("--tokenizer", default="", help="folder whose tokenizer.json makes the ids for llamacpp")
    parser.add_argument("--name", default="", help="what clients call the model")
    parser.add_argument("--max-model-len", type=int, default=2048, help="tokens of prompt and answer together")
    parser.add_argument("--max-num-seqs", type=int, default=4, help="requests that are answered at once")
    parser.add_argument("--dtype", default="float32", help="in which transformers computes")
    parser.add_argument("--threads", type=int, default=0, help="that compute; 0: what suits the backend")


def words(given: argparse.Namespace) -> list[str]:
    """The same as words of a command line, but for the backend's name: ["runs/sft", "--tokenizer", "", ...]."""
    names = ("tokenizer", "name", "max_model_len", "max_num_seqs", "dtype", "threads")
    return [given.model, *(f"--{name.replace('_', '-')}={getattr(given, name)}" for name in names)]


def backend_of(given: argparse.Namespace) -> Backend:
    """The backend that was asked for, loaded; a CheckpointError says why it can't be."""
    return BACKENDS[given.backend](given)


def _llama_cpp(given: argparse.Namespace) -> Backend:
    from xlam_lib.serve.api.llama_cpp import LlamaCpp

    return LlamaCpp(given.model, given.tokenizer, given.max_model_len, given.max_num_seqs, given.threads)


def _transformers(given: argparse.Namespace) -> Backend:
    from xlam_lib.serve.api.transformers import Transformers

    return Transformers(given.model, given.max_model_len, given.max_num_seqs, given.dtype, given.threads)


BACKENDS: dict[str, Callable[[argparse.Namespace], Backend]] = {
    "llamacpp": _llama_cpp,
    "transformers": _transformers,
}
