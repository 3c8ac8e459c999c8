"""What a model generates in one turn: `Answer`, its text, and the one parser that reads the text back.

forms.py     an answer, its two written forms, and when two turns make the same calls
reading.py   `parse_answer`: what a text offers as calls, and what is only words
parts.py     what one decoded value says and calls
values.py    JSON as models write it: the repairs that change no meaning, and what is cut off

Part of the codec (import the names from `xlam_lib.codec`); used by training, serving and grading in notebooks 01 to 05.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "forms": ["Answer", "calls_as_dicts", "json_text", "render_answer", "same_calls"],
        "parts": ["like_call"],
        "reading": ["Parsed", "parse_answer"],
        "values": ["CutOffError", "read_arguments", "read_json", "string_part"],
    },
)
