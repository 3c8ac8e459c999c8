"""APIGen in small: executable tools, a generator of queries and calls over them, and checks.

Notebook 01 tells its story. `from xlam_lib.data.apigen import embedded; paths = embedded("runs/data")` builds the
embedded default data; `python -m xlam_lib.data.apigen --out DIR --seed 0` does so from the shell. After APIGen (arXiv
2406.18518).

Over functions of your own, typed and with docstrings, or over an OpenAPI document it is another command (`run.py`):

    python -m xlam_lib.data.apigen.run --functions my_module --functions other:greet --count 100 --out DIR
    python -m xlam_lib.data.apigen.run --openapi petstore.yaml --count 100 --license MIT --out DIR
    python -m xlam_lib.data.apigen.run --functions my_module --count 100 --out DIR \\
        --base-url http://127.0.0.1:8000/v1 --model M --checker-model M    # a model writes, and judges, too
    python -m xlam_lib.data.apigen.run --multi-turn 20 --out DIR    # conversations over a mock domain

Over a catalogue of many hundred tools with natural questions, for a model that knows English, it is a third one:
`python -m xlam_lib.data.apigen.broad --out DIR` (`broad/`).

The folder of a run holds `samples.jsonl`, trajectories that ran and passed all checks, `failures.jsonl` and
`accounting.json`. Without a model templates write and rules judge, and the same seed gives the same bytes.
"""

from xlam_lib.data.apigen.embedded import build_embedded, embedded
from xlam_lib.data.apigen.library.registry import LINKS, TOOLS, UNSEEN

__all__ = ["LINKS", "TOOLS", "UNSEEN", "build_embedded", "embedded"]
