"""MINT: language models solve reasoning, coding and ALFWorld tasks with Python, some with feedback (notebook 01).

Raw record (a line of `<model>/F=<feedback>/max<steps>_p<proposals>+tool+cd/<kind>/<task>/results.jsonl`; shortened):

    {"state": {"history": [
         {"role": "user", "content": "You are ...\\n\\n---\\n\\nTask:\\nJanet has ..."},
         {"role": "assistant", "content": "Assistant:\\n <thought> ... </thought>\\n\\n<execute>\\n3 * 4\\n</execute>"},
         {"role": "user", "content": "Observation:\\n12\\nYou have 4 steps left ...\\n"},
         {"role": "assistant", "content": "Assistant:\\n <thought> ... </thought>\\n\\n<solution>\\n12\\n</solution>"}],
       "finished": true, "success": true, "latest_output": {"content": "Observation:\\nYour answer is correct.\\n"},
       "terminate_reason": "task_success", "error": null, "agent_action_count": {...}, "token_counter": {...}},
     "task": {"task_name": "gsm8k", "task_id": 26, "prompt": "Janet has ...", "reference": "12", "metadata": {}}}

Decisions, from looking at the records:
- `<execute>` is a call of execute_python, `<solution>` one of propose_solution. A turn with both proposes; several
  blocks of code are one call, their code joined by line ends, as the traceback shows that they were run.
- What stands before is the thought, without its tags where it is all in one pair; what stands behind is ignored by the
  environment, often an invented output; it is kept in the layout alone, so that nobody learns it.
- A turn without an action ("Thank you for the feedback.") stays an untrainable text.
- The prompt's worked example and its words on tags are not in `task.instruction`; the whole is
  `extra["native_prompt"]`.
- The result of the last turn is not in the history, but in `latest_output`: it is its tool step.
- "Expert feedback" (of another model that plays a user) is a user step behind the observation.
- Ends: success, the step limit (max_steps), no proposals left (failure); an error of the run is an infra_error, and
  says nothing of success.
- Tables of scores and lists of benchmark questions are no trajectories.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats import code_tags
from xlam_lib.data.formats.base import SPEAKER, SourceInfo, content_id, need, need_objects, place
from xlam_lib.data.formats.turn_layouts import LAYOUTS, Exchange, native_turns
from xlam_lib.data.quality.findings import Policy
from xlam_lib.trajectory import Outcome, Task, Trajectory

SOURCE = SourceInfo(
    name="mint_bench",
    license="Apache-2.0",
    url="https://github.com/xingyaoww/mint-bench",
    files=("data/outputs/**/results.jsonl",),
    policy=Policy(invalid=("Nothing happen",)),  # a program plays several moves, each line may be a refusal
    samples={
        "raw/claude-instant-1/F=None/max5_p2+tool+cd/reasoning/math/results.jsonl": (2,),
        "raw/CodeLlama-34b-hf/F=None/max3_p2+tool+cd/reasoning/gsm8k/results.jsonl": (2,),
        "raw/gpt-3.5-turbo-0613/F=gpt-4-0613/PHF=no_GT-textual/max5_p2+tool+cd/reasoning/gsm8k/results.jsonl": (0,),
    },
    version="2",
    fields=(
        *(f"state.{key}" for key in ("finished", "success", "latest_output", "terminate_reason", "error")),
        *(f"state.{key}" for key in ("agent_action_count", "history[].role", "history[].content")),
        *(f"task.{key}" for key in ("task_name", "task_id", "prompt", "reference", "metadata")),
        "final_length_exceeds_4096",
    ),
    left_out={
        "state.token_counter": "what the run cost",
        "state.history[].role": SPEAKER,
    },
    layout={r"^(Assistant|Observation):": "labels of the turns"},
)
TASK = "\n---\n\nTask:\n"
ENDS = {"task_success": "success", "max_propose_steps": "failure", "max_steps": "max_steps", "error": "infra_error"}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One run of one task -> one trajectory."""
    state, task = _parts(record)
    history = need_objects(need(state, "history", list), "history")
    prompt, question = _question(history)
    exchange = Exchange(code_tags.MINT, code_tags.ERRORS)
    exchange.user(question)
    for message in history[1:]:
        _take(exchange, message)
    latest = state.get("latest_output") if isinstance(state.get("latest_output"), dict) else {}
    if exchange.open and isinstance(latest.get("content"), str):
        code_tags.answer(exchange, latest["content"])
    if not any(step.role == "assistant" for step in exchange.steps):
        raise Drop("a query without an answer: no trajectory to convert")
    run = _run(where)
    name = f"{run[-1] if len(run) > 1 else task.get('task_name')}/{task.get('task_id')}"
    raw_id = "/".join([*run, str(task.get("task_id")), content_id({"history": history})])
    extra = {
        "native_prompt": prompt,
        "reference": task.get("reference"),
        "terminate_reason": state.get("terminate_reason"),
        "actions": state.get("agent_action_count"),
        "error": state.get("error"),
        "feedback": {key: latest[key] for key in ("feedback", "feedback_type") if latest.get(key)},
        "metadata": task.get("metadata"),
        LAYOUTS: exchange.layouts,
    }
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(code_tags.instruction_of(prompt), task_id=name),
            tools=code_tags.MINT.tools(),
            steps=tuple(exchange.steps),
            outcome=_outcome(state),
            tags=("feedback",)
            if any("Expert feedback:" in s.content for s in exchange.steps if s.role == "user")
            else (),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def native(t: Trajectory) -> list[str]:
    """Every turn as the model wrote it: ["Assistant:\\n <thought> ...", ...]."""
    return native_turns(t, code_tags.MINT)


def _parts(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if "state" not in record:
        if "prompt" in record and "reference" in record:
            raise Drop("a benchmark question: no trajectory to convert")
        if "success" in record or any(_is_score(value) for value in record.values()):
            raise Drop("a score without messages: no trajectory to convert")
    return need(record, "state", dict), need(record, "task", dict)


def _is_score(value: Any) -> bool:
    """A table of a model's settings: {"max1_p1+tool+cd": {"success": 1, "n": 586, "sr": 0.17}}."""
    return isinstance(value, dict) and any(isinstance(row, dict) and "sr" in row for row in value.values())


def _question(history: list[dict[str, Any]]) -> tuple[str, str]:
    """(prompt, task); where the prompt is not split off as usual, it is all the task's."""
    if not history or history[0].get("role") != "user":
        raise Drop("conversation that doesn't begin with the user")
    prompt, mark, question = need(history[0], "content", str).rpartition(TASK)
    return (prompt, question.strip("\n")) if mark and question.strip("\n") else ("", history[0]["content"])


def _take(exchange: Exchange, message: dict[str, Any]) -> None:
    role, text = message.get("role"), need(message, "content", str)
    if role == "assistant":
        exchange.agent(text)
    elif role == "user":
        code_tags.answer(exchange, text)
    else:
        raise Drop("message of an unknown role", f"{role!r}"[:200])


def _run(where: str) -> list[str]:
    """Model, feedback, limits and task, where the path names them: ["claude-2", "F=None", ..., "gsm8k"]."""
    parts = where.split("/")
    at = [i for i, part in enumerate(parts) if part.startswith("F=")]
    if not at or at[0] == 0:
        return [place(where).rpartition("/")[2].partition(":")[0]]
    return parts[at[0] - 1 : -1]


def _outcome(state: dict[str, Any]) -> Outcome:
    reason = state.get("terminate_reason")
    termination: Any = ENDS.get(reason, "unknown") if isinstance(reason, str) else "unknown"
    success = state.get("success") if isinstance(state.get("success"), bool) else None
    if termination == "infra_error":
        return Outcome(None, None, termination, {"error": str(state.get("error")).partition("\n")[0]})
    return Outcome(success, None, termination)
