"""StableToolBench: ToolBench's queries answered before simulated APIs: raw runs and converted answers (notebook 01).

Raw records (shortened), a run as in `toolbench`, and the same run converted for the judge, held by query id:

    {"win": true, "try_count": 1, "trys": [{"chain": [...]}], "forward_args": {...},
     "answer_generation": {"valid_data": true, "query": "I'm planning a surprise birthday party ...",
                           "function": [...], "train_messages": [...], "final_answer": "..."}}
    {"1073": {"query": "I'm planning a surprise birthday party ...", "available_tools": [...],
       "answer": {"method": "CoT@1", "total_steps": 6, "final_answer": "...", "answer_details": [{"role": "system",
         "message": "", "next": [{"role": "user", "message": "", "next": [{"role": "tool", "message": {
           "name": "popularsitesforquery_for_keyword_analysis", "arguments": "{...}", "response": "{...}"}, ...}]}]}]}}}

Decisions, from looking at the files:
- Raw runs are converted as `toolbench` does (the accepted path; see there), with this source's name and ids.
- In converted answers words before a call are its thought, and what can't be read as a call (broken arguments, a
  function that doesn't exist) stays a text that isn't learnt from.
- Judgements ("is_solved") tell of answers that lie in other files, and query files have no answer: dropped.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo
from xlam_lib.data.sources.agents import toolbench
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
    name="stabletoolbench",
    license="Apache-2.0",
    url="https://github.com/THUNLP-MT/StableToolBench",
    files=("data_example/answer/*/*/*.json", "data_example/model_predictions_converted/*/*.json"),
    samples={
        "answer/virtual_chatgpt_cot/G1_instruction/588_CoT@1.json": None,
    },
    version="2",
    fields=(*toolbench.FIELDS, *CONVERTED),
    left_out={**toolbench.LEFT_OUT, **NODES},
    layout={**toolbench.SOURCE.layout, **SHOWN},
)
unpack = one_by_one


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One run or converted answer -> one trajectory."""
    if "is_solved" in record:
        raise Drop("a judgement of an answer: no trajectory to convert")
    if "answer" in record:
        return [convert_answer(record, where, SOURCE)]
    return [_ours(t) for t in toolbench.convert(record, where)]


def _ours(t: Trajectory) -> Trajectory:
    raw_id = t.source.raw_id
    return replace(t, trajectory_id=f"{SOURCE.name}/{raw_id}", source=SOURCE.source(raw_id))


def native(trajectory: Trajectory) -> list[str]:
    """The actions of a converted answer; see `tooleval_answers`."""
    return native_answer(trajectory)
