"""FastChat behind our API: its controller and its API server, with a worker of ours (notebook 04).

    our API  ->  FastChat's API server  ->  our worker, whose address the controller knows

backend.py    starts the three, and asks FastChat's API server for bare continuations
worker.py     the worker: FastChat's protocol on one side, a backend of ours (transformers, llama.cpp) on the other
wire.py       what goes through FastChat's `prompt` and `text`: token ids with all options, and pieces with their counts
__main__.py   the program of each of the three

FastChat's own workers don't run beside today's transformers and vLLM, and its API server can't write our prompts: it
drops tools, tool results, seeds and schemas without a word, writes messages by a template for talk, and counts no
tokens in a stream. So our API is what clients ask, as it is with llama.cpp, and FastChat is given whole texts.

Whoever has a FastChat cluster can register the worker there. Its conversation template is one that the worker can read
back, so FastChat's own chat completions come to the model as the codec's prompt, without tools:

    python -m xlam_lib.serve.api.fastchat worker transformers runs/sft --controller http://localhost:21001 --port 31005
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"backend": ["FastChat"], "worker": ["Worker"]}
)
