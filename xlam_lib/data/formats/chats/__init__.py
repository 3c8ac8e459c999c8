"""Chat messages part by part: fields beside role and content, results and the calls they answer (notebook 01)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "answers": ["answers_of", "told_by_users"],
        "assistants": ["calls_in_fields", "thoughts_of"],
        "learning": ["is_trainable", "mask_of", "outcome_of"],
        "results": ["failure_of", "ids_of", "name_of"],
        "turn": ["Turn", "json_text"],
        "unknown": ["unknown_fields"],
    },
)
