"""Training data for a real language model, from a catalogue of many hundred tools with natural questions.

    from xlam_lib.data.apigen.broad import read_catalogue
    read_catalogue()["convert_length"].questions

`python -m xlam_lib.data.apigen.broad --check` validates the catalogue, the YAML files of this folder, and shows what it
asks. `catalogue.py` says how they are written.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["CatalogueError", "read_catalogue"],
        "check": ["checked"],
        "tools": ["Asked", "BroadTool"],
    },
)
