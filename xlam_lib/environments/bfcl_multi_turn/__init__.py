"""BFCL's conversations of several turns, in which an agent works on simulated systems: files, cars, orders, trips.

Used by the benchmark `bench/tasks/bfcl_multi_turn.py` (notebook 05). The systems are the classes of `bfcl-eval`, which
run in a confined child process. `from xlam_lib.environments.bfcl_multi_turn import BfclMultiTurn, load`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "backend": ["Backend", "Verdict"],
        "calls": ["CallError", "PythonCalls", "call_text"],
        "environment": ["BfclMultiTurn"],
        "package": ["BfclError", "data_folder", "tool_of"],
        "scenarios": ["CATEGORIES", "Scenario", "load", "practice"],
    },
)
