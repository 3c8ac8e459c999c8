"""The backend that runs a GGUF file in llama.cpp, by the prebuilt wheel `xllamacpp`.

    backend = LlamaCpp("runs/sft.gguf", tokenizer="runs/sft", context=2048)

llama.cpp's server runs in threads of this process, at a port and with a key that nobody else knows, and is asked for
bare continuations (`/completion`). With a checkpoint's `tokenizer.json` the ids are made by it, so that they are those
of training whatever llama.cpp knows of that tokenizer; without, llama.cpp makes them by the file's own description.
Numbers are those of the file: a float32 file gets a float32 cache and no fused attention.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from xlam_lib.errors import CheckpointError
from xlam_lib.serve.api.generation import Backend, BackendError, Piece, RefusedError, Sampling

SAMPLERS = ["temperature", "top_k", "top_p", "min_p"]
REASONS = {"eos": "stop", "word": "stop", "limit": "length"}
SPACING = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}  # the codec's


class LlamaCpp(Backend):
    """A GGUF file that answers; `slots` requests at once, each with `context` tokens of cache."""

    def __init__(
        self, file: str | Path, tokenizer: str | Path = "", context: int = 2048, slots: int = 4, threads: int = 0
    ) -> None:
        self._about = About(file)
        self.template, self.specials = self._about.template, self._about.specials
        self.context = min(context, self._about.context or context)
        self._tokenizer = _read_tokenizer(Path(tokenizer)) if tokenizer else None
        key = secrets.token_hex(32)
        self._server = _start(file, self.context, slots, threads or _threads(), key, self._about.float32)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # it closes those that lie idle
        self._client = httpx.AsyncClient(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=None,  # how long an answer takes is the asking client's to limit
            limits=limits,
            trust_env=False,
        )

    async def tokens(self, text: str) -> list[int]:
        if self._tokenizer:
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        asked = {"content": text, "add_special": False, "parse_special": True}
        return (await self._client.post("/tokenize", json=asked)).raise_for_status().json()["tokens"]

    async def generate(self, ids: list[int], sampling: Sampling) -> AsyncIterator[Piece]:
        if ids and max(ids) >= self._about.tokens:
            raise RefusedError(f"the model has no token {max(ids)}; its last one is {self._about.tokens - 1}")
        try:
            async with self._client.stream("POST", "/completion", json=_request(ids, sampling)) as response:
                if response.status_code != httpx.codes.OK:
                    raise _error(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    if line.startswith("error:"):
                        raise BackendError(f"llama.cpp: {line[:500]}")
                    if line.startswith("data: "):
                        yield _piece(json.loads(line[len("data: ") :]))
        except httpx.HTTPError as error:
            raise BackendError(f"llama.cpp does not answer any more ({error!r})") from error

    def check(self) -> None:
        """Nothing to see from here: its threads end with this process, and a crash of theirs ends it."""

    def close(self) -> None:
        self._server = None  # ends its threads


class About:
    """What a GGUF file says of itself that is needed here: `About("sft.gguf").context` -> 2048."""

    def __init__(self, file: str | Path) -> None:
        from gguf import GGUFReader, Keys, LlamaFileType

        try:
            reader = GGUFReader(file)
        except (OSError, ValueError, IndexError) as error:
            raise CheckpointError(f"{file}: no GGUF file that can be read ({error}); make or fetch it again") from error

        def value(key: str, index: int | slice = slice(None)) -> Any:
            found = reader.fields.get(key)
            return found.contents(index) if found else None

        architecture = value(Keys.General.ARCHITECTURE) or ""
        self.context: int | None = value(Keys.LLM.CONTEXT_LENGTH.format(arch=architecture))
        self.template: str = value(Keys.Tokenizer.CHAT_TEMPLATE) or ""
        self.float32 = value(Keys.General.FILE_TYPE) == LlamaFileType.ALL_F32
        self.tokens = len(reader.fields[Keys.Tokenizer.LIST].data)
        ids = {"eos_token": value(Keys.Tokenizer.EOS_ID), "bos_token": value(Keys.Tokenizer.BOS_ID)}
        self.specials = {name: value(Keys.Tokenizer.LIST, number) for name, number in ids.items() if number is not None}


def _start(file: str | Path, context: int, slots: int, threads: int, key: str, float32: bool) -> Any:
    """llama.cpp's server, once it has loaded the file."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = os.fspath(file)
    params.n_ctx, params.n_parallel, params.kv_unified = context * slots, slots, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.hostnames, params.api_keys = ["127.0.0.1"], [key]
    params.endpoint_slots, params.ui, params.offline, params.verbosity = False, False, True, 1
    params.use_jinja, params.chat_template = False, "chatml"  # not ours: it is never used
    if float32:
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise CheckpointError(f"{file}: llama.cpp can't load it ({error}); the lines above say why") from error


def _threads() -> int:
    """One thread for each physical core, of which each shows as two: llama.cpp's threads wait by spinning."""
    return max(1, (os.cpu_count() or 2) // 2)


def _read_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; serve the GGUF file itself, whose tokens llama.cpp makes")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _request(ids: list[int], sampling: Sampling) -> dict[str, Any]:
    """The body of a request to `/completion`."""
    asked: dict[str, Any] = {
        "prompt": ids,
        "stream": True,
        "n_predict": sampling.max_tokens,
        "samplers": SAMPLERS,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "stop": list(sampling.stop),
    }
    if sampling.seed is not None:
        asked["seed"] = sampling.seed
    if sampling.schema is not None:
        schema = json.dumps({"x-guidance": SPACING, **sampling.schema}, ensure_ascii=False)
        asked["grammar"] = f"%llguidance {{}}\nstart: %json {schema}"
    return asked


def _piece(found: dict[str, Any]) -> Piece:
    reason = REASONS.get(found.get("stop_type", ""), "stop") if found["stop"] else ""
    return Piece(found["content"], found["tokens_predicted"], reason)


def _error(status: int, body: bytes) -> RefusedError | BackendError:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = body[:500].decode(errors="replace")
    return (RefusedError if status == httpx.codes.BAD_REQUEST else BackendError)(f"llama.cpp: {message}")
