"""Whether an answer passes: by rule, and by a judge whose votes are counted (notebook 05).

    verdict(record, facts=("4",)).failure           # "" where it passes by rule, else why not
    counted = votes(record, EndpointJudge(endpoint), times=3)    # {0: "Solved", 1: "Solved", 2: "Unsure"}
    majority(counted), solve_rate([counted])         # "Solved", (0.83, 0.24): mean over the runs, standard deviation

The rule is what ToolEval settles without a model: a last call of `Finish` that gives an answer which isn't empty and,
as in ToolBench's tooleval/pass_rate.py, no excuse (EXCUSES). To it we add what those leave to the judge: some call
of an existing function came back without an error, and the answer states the facts that the query asks for, where they
are known. A judge is asked as `check_is_solved` of ToolEval's rtl.py asks: with the answer alone and, unsure of it,
with all steps. Votes are counted as StableToolBench counts its solvable pass rate: Solved 1, Unsure 0.5, else 0.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xlam_lib.agents.base import InfrastructureError
from xlam_lib.endpoint import Endpoint
from xlam_lib.environments.tooleval.answers import FINISH, Called, calls_of, ends, names_called, shown_steps

Status = Literal["Solved", "Unsolved", "Unsure"]
Judge = Callable[[str, str, str, int], Status]  # query, final answer, all steps or "", number of the vote
VOTES = 3  # StableToolBench's `evaluate_times`
WORTH = {"Solved": 1.0, "Unsure": 0.5}
EXCUSES = ("sorry", "apologize", "apology", "unfortunately", "couldn't")  # `check_real_valid` of ToolBench
NUMBER = re.compile(r"(?:(?<![\w.,])(?:-|−|minus ))?\d[\d,]{0,30}(?:\.\d{1,30})?")
REPEATS = 3  # the same call so often at the end is a loop
JUDGEMENT = """You check whether an assistant's answer settles what a user asked for. Judge the answer as it stands:
- "Solved": it gives all that the query asks for, in substance, and nothing shows that it is made up.
- "Unsolved": it gives up, excuses itself, is empty or beside the point, or leaves out what was asked for.
- "Unsure": the words alone don't show whether what it states was found or invented, or only parts are missing.
Reply with one JSON object: {"reason": "<one sentence>", "answer_status": "Solved" | "Unsolved" | "Unsure"}"""
STATUS = re.compile(r'"answer_status"\s?:\s?"(Solved|Unsolved|Unsure)"')


@dataclass(frozen=True)
class Verdict:
    """What the rule found: `Verdict()` passes; the failure is one of those that benchmarks name."""

    failure: str = ""
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is no failure."""
        return not self.failure


def verdict(record: Mapping[str, Any], facts: Sequence[str] = ()) -> Verdict:
    """By rule, e.g. `verdict(record)` -> Verdict("gave_up", "Finish gives no answer")."""
    calls = calls_of(record)
    last = calls[-1] if calls else None
    made = [call for call in calls if call.name != FINISH]
    if last is None or last.name != FINISH:
        return _unfinished(made, record)
    finish = last.read_finish()
    if not ends(finish):
        return Verdict("bad_format", "Finish has no valid return_type, or no final_answer")
    if finish["return_type"] != "give_answer":
        return Verdict("gave_up", "Finish gives no answer")
    answer = str(finish.get("final_answer") or "").strip()
    if not answer or any(excuse in answer.lower() for excuse in EXCUSES):
        return Verdict("gave_up", "the answer is empty or an excuse")
    if not _worked(made, record):
        return Verdict(_why_none_worked(made, record), "no call of an existing function came back without an error")
    missing = [fact for fact in facts if not states(answer, fact)]
    return Verdict("wrong_answer", f"the answer doesn't state {missing}") if missing else Verdict()


def _unfinished(made: Sequence[Called], record: Mapping[str, Any]) -> Verdict:
    if not made:
        return Verdict("bad_format", "nothing was called")
    last = {(call.name, call.arguments) for call in made[-REPEATS:]}
    if len(made) >= REPEATS and len(last) == 1:
        return Verdict("loop", f"the last {REPEATS} calls are the same")
    failure = "max_steps" if _worked(made, record) else _why_none_worked(made, record)
    return Verdict(failure, "Finish was not called last")


def _worked(made: Sequence[Called], record: Mapping[str, Any]) -> bool:
    names = _names(record)
    return any(call.name in names and not call.failed for call in made)


def _why_none_worked(made: Sequence[Called], record: Mapping[str, Any]) -> str:
    if not made:
        return "wrong_answer"
    return "wrong_argument" if any(call.name in _names(record) for call in made) else "wrong_function"


def _names(record: Mapping[str, Any]) -> set[str]:
    return {tool["name"] for tool in record["available_tools"]}


def invented(record: Mapping[str, Any]) -> list[str]:
    """Functions that were called and don't exist, ToolEval's hallucinations: `invented(record)` -> ["weather"]."""
    return [name for name in names_called(record) if name not in _names(record)]


def states(text: str, fact: str) -> bool:
    """Whether a text states a fact, in whole words or as a number: `states("It is 1,250 m.", "1250")` -> True."""
    if NUMBER.fullmatch(fact):
        return any(_number(found) == _number(fact) for found in NUMBER.findall(text))
    whole = rf"(?<!\w){re.escape(' '.join(fact.split()).casefold())}(?!\w)"
    return re.search(whole, " ".join(text.split()).casefold()) is not None


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("minus ", "-").replace("−", "-"))


def judged(record: Mapping[str, Any], judge: Judge, number: int = 0) -> Status:
    """One vote; what has no answer is Unsolved without asking: `judged(record, judge)` -> "Solved"."""
    _, last = shown_steps(record)
    final = record["answer"]["final_answer"]
    if "'name': 'Finish'" not in last or not final or "give_up_and_restart" in final:
        return "Unsolved"
    status = judge(record["query"], final, "", number)
    if status == "Unsure":
        return judge(record["query"], final, json.dumps(record["answer"], ensure_ascii=False), number)
    return status


def votes(record: Mapping[str, Any], judge: Judge, times: int = VOTES) -> dict[int, Status]:
    """Several votes on an answer, by number: {0: "Solved", 1: "Solved", 2: "Unsolved"}."""
    return {number: judged(record, judge, number) for number in range(times)}


def recorded_votes(raw: Mapping[str, str]) -> dict[int, Status]:
    """Votes as StableToolBench writes them: `recorded_votes({"1": "AnswerStatus.Solved"})` -> {1: "Solved"}."""
    return {int(number): status.removeprefix("AnswerStatus.") for number, status in sorted(raw.items())}  # type: ignore[misc]


def majority(counted: Mapping[int, Status]) -> Status:
    """What most votes say; Unsure where two lead: `majority({0: "Solved", 1: "Solved", 2: "Unsure"})` -> "Solved"."""
    leading = Counter(counted.values()).most_common(2)
    if not leading or (len(leading) == 2 and leading[0][1] == leading[1][1]):
        return "Unsure"
    return leading[0][0]


def solve_rate(counted: Sequence[Mapping[int, Status]], times: int = VOTES) -> tuple[float, float]:
    """(mean, standard deviation) over the runs of votes of the share that is solved; a missing vote counts 0."""
    if not counted:
        return 0.0, 0.0
    runs = [sum(WORTH.get(one.get(run, ""), 0.0) for one in counted) / len(counted) for run in range(times)]
    return statistics.fmean(runs), statistics.pstdev(runs)


class EndpointJudge:
    """A model as judge: `EndpointJudge(endpoint)`; the endpoint must be open, its temperature decides if votes differ.

    A reply without a verdict is Unsure; an endpoint that can't be reached is an InfrastructureError.
    """

    def __init__(self, endpoint: Endpoint, max_tokens: int = 256) -> None:
        self.endpoint, self.max_tokens = endpoint, max_tokens

    def __call__(self, query: str, final_answer: str, steps: str, number: int) -> Status:
        blocks = {"Query": query, "Answer": final_answer} | ({"All steps": steps} if steps else {})
        asked = "\n\n".join(f"{name}:\n{block}" for name, block in blocks.items())
        messages = [{"role": "system", "content": JUDGEMENT}, {"role": "user", "content": asked}]
        reply = self.endpoint.ask(messages, max_tokens=self.max_tokens, seed=number)
        if reply.error:
            raise InfrastructureError(f"the judge gave no verdict: {reply.error}")
        return read_status(reply.text)


def read_status(text: str) -> Status:
    """The last verdict in a judge's reply, Unsure without any: `read_status('{"answer_status": "Solved"}')`."""
    found = STATUS.findall(text)
    return found[-1] if found else "Unsure"
