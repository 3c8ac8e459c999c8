"""Serving: a checkpoint behind an OpenAI-compatible API, and the clients that speak to it (notebook 04_serving).

`server` runs an engine as a child process (`engines/`: vLLM, llama.cpp, transformers, FastChat), `tool_parser` is the
plugin by which vLLM returns tool calls, `api` is our own API around the other three, `client` is the xLAM client,
`conversation` a dialogue in which tools are called (`toolbox`, `mcp_server`), `chat` a field to hold one by hand,
`compare` holds served answers against offline ones.
Importing this package imports no vLLM.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "chat": ["Chat"],
        "choices": ["collect_stream"],
        "client": ["xLAMChatCompletion", "xLAMConfig"],
        "compare": ["equal_offline", "served_texts"],
        "conversation": ["Conversation", "Turn"],
        "mcp_server": ["McpServer"],
        "messages": ["openai_messages"],
        "streaming": ["AnswerStream", "read_message"],
        "toolbox": ["Functions", "Sandboxed", "Toolbox"],
    },
)
