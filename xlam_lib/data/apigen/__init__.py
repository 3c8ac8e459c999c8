"""APIGen in small: executable tools, a generator of queries and calls over them, and checks.

Notebook 01 tells its story. `from xlam_lib.data.apigen import embedded; paths = embedded("runs/data")` builds the
embedded default data; `python -m xlam_lib.data.apigen --out DIR --seed 0` does so from the shell. After APIGen (arXiv
2406.18518).
"""

from xlam_lib.data.apigen.embedded import build_embedded, embedded
from xlam_lib.data.apigen.library import LINKS, TOOLS, UNSEEN

__all__ = ["LINKS", "TOOLS", "UNSEEN", "build_embedded", "embedded"]
