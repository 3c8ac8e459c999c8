"""ToolEval's default set: answers of models to ToolBench's test queries, converted for the judge (notebook 01).

Raw record (one of an object that holds them by query id; shortened):

    {"42700": {"query": "I'm working on a research project about different car models. ...",
       "available_tools": [{"name": "vin_decode_for_vin_decoder_v4", "description": "...", "parameters": {...}}, ...],
       "answer": {"method": "chatgpt_CoT", "total_steps": 6, "final_answer": "{\\n  \\"return_type\\": ...",
         "answer_details": [{"role": "system", "message": "", "next": [{"role": "user", "message": "I'm working ...",
           "next": [{"role": "tool", "message": "{'name': 'vin_decode_for_vin_decoder_v4', 'arguments': '{\\\\n  ...",
             "next": [...]}]}]}]}}}

Decisions, from looking at the records:
- Upstream cut every message to 100 characters. The query and the final answer stand elsewhere in full and are taken
  from there: the user's words and the arguments of `Finish` are whole.
- A call whose arguments are whole is a call; one whose arguments were cut stays the text that is left, isn't learnt
  from, and nothing is guessed. Results are kept as far as they go.
- What the agent did after a text that was cut isn't learnt from: what it saw isn't there. Tag "cut_texts".
- Words before a call are its thought: `reasoning`, native. `Finish` stays a call, as in `toolbench`.
- Whether an answer passed isn't in these files: success is unknown; False where the agent gave up or never finished.
- A call of a function that doesn't exist ("invalid_hallucination_function_name") stays a text, too.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.formats.base import SourceInfo
from xlam_lib.data.sources.agents.tooleval_answers import (
    CONVERTED,
    NODES,
    SHOWN,
    convert_answer,
    native_answer,
    one_by_one,
)
from xlam_lib.trajectory import Trajectory

SOURCE = SourceInfo(
    name="tooleval_default",
    license="Apache-2.0",
    url="https://github.com/OpenBMB/ToolBench",
    files=("toolbench/tooleval/results/default_evalset/*/G*.json",),
    version="2",
    fields=CONVERTED,
    left_out={
        **NODES,
        "answer.answer_details[].next[].message": "the query, cut to 100 characters",
    },
    layout=SHOWN,
)
unpack = one_by_one
native = native_answer


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One answer -> one trajectory."""
    return [convert_answer(record, where, SOURCE)]
