"""BFCL's executor and checker of conversations, as functions that run in a confined process of their own a call.

Loaded by `backend.py` through the sandbox, never in our own process: the executor evaluates source of calls. It keeps
the systems of a conversation in its module, so a process that is thrown away after each call starts them anew.
"""

from __future__ import annotations

import importlib
from typing import Any

from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils import execute_multi_turn_func_call

from xlam_lib.environments.bfcl_multi_turn.scenarios import DOCUMENTS

MODEL = "xlam"
LONGEST = 1000  # characters of what the checker says

for _name in DOCUMENTS:
    importlib.import_module(CLASS_FILE_PATH_MAPPING[_name])  # once here, instead of in each call


def execute(entry: Any, steps: Any) -> Any:
    """The results of the last step's calls, all steps before it executed first: ["{\\"temp\\": ...}", ...]."""
    results: list[str] = []
    for calls in steps:
        results, _ = execute_multi_turn_func_call(
            calls, entry["initial_config"], entry["involved_classes"], MODEL, entry["id"], _long(entry)
        )
    return results


def check(entry: Any, turns: Any, answers: Any) -> Any:
    """The checker's verdict on the steps of each turn: {"valid": False, "error_type": "...", "error": "..."}."""
    category = entry["id"].rsplit("_", 1)[0]
    found = multi_turn_checker(turns, answers, entry, category, MODEL)
    if found["valid"]:
        return {"valid": True, "error_type": "", "error": ""}
    return {"valid": False, "error_type": found["error_type"], "error": found["error_message"][:LONGEST]}


def _long(entry: Any) -> bool:
    return "long_context" in entry["id"]
