"""Training data for a real language model, from a catalogue of many hundred tools with natural questions.

from xlam_lib.data.apigen.broad import broad, build_broad
next(broad("train", seed=0))                           # a trajectory; the next seven share its list of tools
build_broad("runs/broad", seed=0, train=20000)["train"]

python -m xlam_lib.data.apigen.broad --out runs/broad --train 20000 --test 500 [--real DIR]
python -m xlam_lib.data.apigen.broad --check           # validates the YAML files and shows what they ask

catalogue.py   reads the YAML files of `domains`, one a domain; it says how they are written
values.py      kinds of values and how they are said; phrasing.py: the grammar of questions; tools.py: a tool
lists.py       lists of tools; signatures.py: real ones that stand beside them (signatures.jsonl)
wording.py     what users say; answers.py: what an assistant says instead of a call
sampler.py     the kinds of samples, in a stream; build.py: the folder of files; real.py: real records
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "build": ["build_broad"],
        "catalogue": ["CatalogueError", "checked", "read_catalogue"],
        "real": ["RealCount", "benchmarks_in", "real_samples"],
        "sampler": ["broad"],
        "signatures": ["real_tools"],
        "tools": ["Asked", "BroadTool"],
    },
)
