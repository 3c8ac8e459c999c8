"""Teach a model your own tools: Python functions or an OpenAPI document in, a model that calls them out (notebook 07).

    settings.py    what can be set
    questions.py   questions about the tools, written, executed and checked; some kept for the test
    course.py      questions -> training -> test, each taken up where it was broken off
    taught.py      the model with its tools, to be asked
    bike_shop.py   ten tools as an example

`python -m xlam_lib.teach my_tools --out runs/mine` is the command.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "course": ["Report", "teach"],
        "questions": ["library_of", "questions"],
        "settings": ["TeachSettings"],
        "taught": ["Asked", "Taught"],
    },
)
