"""Our own OpenAI-compatible API, for engines that can't write our prompts or read our answers (notebook 04).

    request -> codec's prompt -> `Backend.generate` -> the codec's reading of the text -> OpenAI response

requests.py       what may be asked, what is refused with status 400, and the text that the model reads
generation.py     the seam: a `Backend` continues token ids; `Sampling`, `Piece`
transformers.py   the backend that decodes in batches with transformers
llama_cpp.py      the backend that runs a GGUF file in llama.cpp
fastchat/         the backend that asks FastChat's API server, whose controller knows a worker of ours
backends.py       those that compute in one process, by the options of a command
responses.py      texts as messages with tool calls, whole and in pieces
app.py            the paths: /health, /v1/models, /v1/completions, /v1/chat/completions
__main__.py       the program, which `serve/engines` starts as a child process

vLLM has all this itself and only gets our parser as a plugin (`serve/tool_parser.py`). Others don't: `transformers
serve` refuses `tool_choice`, reads calls by a schema that can't say our answers, and knows no key; the server
in llama.cpp can't read our chat template, which is more of Jinja than it knows, and would read calls by its own rules;
FastChat drops tools.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "app": ["application"],
        "generation": ["Backend", "Piece", "RefusedError", "Sampling"],
        "requests": ["ChatRequest", "ChatTemplate", "CompletionRequest"],
    },
)
