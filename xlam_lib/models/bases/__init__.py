"""Base models by name: `base("smollm2-135m")` is the folder of a checkpoint, fetched and converted the first time.

A name of `bases.yaml`, a model of the hub ("ORG/NAME"), or a folder. It is the only place where anything is fetched:
whatever reads a checkpoint reads a folder of this machine (`models/folders.py`). Used by every training command, by
the server and by notebooks 02 to 05; `python -m xlam_lib.models.bases` lists the names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapted": ["base_info", "base_of"],
        "registry": ["Base", "Package", "known"],
        "resolve": ["base", "check_inputs", "name_of"],
    },
)
