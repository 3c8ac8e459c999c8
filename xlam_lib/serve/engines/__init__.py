"""Engines that serve a checkpoint behind an OpenAI-compatible API, or answer offline (notebook 04)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "api": ["ApiServer", "TransformersServer"],
        "base": ["Capabilities", "Engine", "ServerError"],
        "fastchat": ["FastChatServer"],
        "llama_cpp": ["LlamaCppServer"],
        "local": ["LocalServer"],
        "transformers": ["Decoded", "Greedy"],
        "vllm": ["ServerFlags", "VllmServer"],
    },
)
