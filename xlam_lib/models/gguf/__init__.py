"""A checkpoint as one GGUF file, for llama.cpp and what is built on it (a shell command, after training):

    python -m xlam_lib.models.gguf runs/dpo runs/dpo.gguf --dtype float16

An adapter is merged before. `layouts.py` says how llama.cpp holds each architecture, `export.py` writes the file (its
format: the `gguf` package), `tokens.py` declares the tokenizer.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"export": ["export"], "layouts": ["DTYPES", "LAYOUTS", "Layout"], "tokens": ["add_tokenizer"]},
)
