"""BFCL's reading and checking of answers in its prompt formats, as a function that runs confined, a process a call.

Loaded by `bfcl_formats.py` through the sandbox, never in our own process: BFCL's readers search model text with regular
expressions that can take for ever, and evaluate the arithmetic that they find in it.
"""

from __future__ import annotations

import importlib
from typing import Any

from xlam_lib.environments.bfcl_multi_turn.package import MODEL, PACKAGE, put_stubs

put_stubs()  # in this process, which does nothing else
_reading = importlib.import_module(f"{PACKAGE}.model_handler.utils")
_shapes = importlib.import_module(f"{PACKAGE}.utils")
_checker = importlib.import_module(f"{PACKAGE}.eval_checker.ast_eval.ast_checker")
_enums = importlib.import_module(f"{PACKAGE}.constants.enums")


def judge(text: Any, config: Any, category: Any, functions: Any, accepted: Any) -> Any:
    """BFCL's verdict on an answer in a format: {"valid": False, "error_type": "ast_decoder:decoder_failed", ...}."""
    form, tagged, *_ = _reading.parse_prompt_variation_params(config)
    try:
        calls = _reading.default_decode_ast_prompting(text, _enums.ReturnFormat(form), tagged)
    except Exception as error:  # whatever it is, BFCL counts the answer as unreadable
        return {"valid": False, "error_type": "ast_decoder:decoder_failed", "error": str(error)[:300], "parsed": False}
    if not _shapes.is_function_calling_format_output(calls):
        wrong = "ast_decoder:decoder_wrong_output_format"
        return {"valid": False, "error_type": wrong, "error": str(calls)[:300], "parsed": False}
    found = _checker.ast_checker(functions, calls, accepted, _enums.Language.PYTHON, category, MODEL)
    error = "" if found["valid"] else str(found["error"])[:300]
    return {"valid": found["valid"], "error_type": found["error_type"] if error else "", "error": error, "parsed": True}
