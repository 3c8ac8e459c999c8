"""The embedded tools: what they do, the facts they know, how users ask for them, and their renamed twins."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "frames": ["Frame"],
        "registry": ["LINKS", "TOOLS", "UNSEEN", "links_of", "tools_of"],
        "spec": ["Param", "Request", "ToolSpec"],
        "twins": ["twin_links"],
        "values": ["Pool", "split_of"],
    },
)
