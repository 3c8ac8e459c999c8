"""What sources share: chat messages, conversations, tool schemas, episodes, grammars of actions (notebook 01)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "actions": ["Action", "Grammar"],
        "base": ["SourceInfo", "cached_by_value", "content_id", "need", "place", "unique_tools"],
        "bracket_calls": ["render_brackets"],
        "call_forms": ["found_calls"],
        "chat": ["RawCall", "StepBuilder", "calls_of", "parse_arguments"],
        "conversations": ["Turn", "assemble", "read_turns"],
        "dialects": ["split_calls"],
        "episodes": ["Episode"],
        "messages": ["messages_of"],
        "native_actions": ["ActionBuilder"],
        "schemas": ["parse_annotation", "tool_of_calls"],
        "system_tools": ["tools_and_system"],
        "tool_forms": ["tools_of"],
        "transcripts": ["labelled_turns", "prompted_turns"],
        "turn_layouts": ["Dialect", "native_turns"],
    },
)
