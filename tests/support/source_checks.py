"""What the tests of several sources share: loading with accounts, and the way into the prompt and back."""

import json
from pathlib import Path

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.trajectory import Trajectory

# read behind gates or written by our own commands: their tests have records of their shape
NOT_THERE = {"actionstudio", "agent_data_protocol", "agentlite", "agentohana", "apigen_mt", "atif", "gemini",
             "inspect_ai", "langchain", "openai_chat", "openai_responses", "openhands", "preferences", "sharegpt",
             "swe_agent", "toolace", "verifiers"}  # fmt: skip


def load(source: str, folder: Path | None = None) -> tuple[list[Trajectory], Accounting]:
    """All trajectories of a folder, by default of the source's samples, with the books."""
    accounting = Accounting(source)
    trajectories = list(load_source(source, folder or samples_dir(source) / "raw", accounting))
    accounting.check()
    assert len({t.trajectory_id for t in trajectories}) == accounting.trajectories
    return trajectories, accounting


def elements(path: Path) -> list[dict]:
    """The records of a .json or .jsonl file, read without the reader under test."""
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        return json.loads(text)
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.split("\n") if line.strip()]


def turns_that_come_back(trajectories: list[Trajectory]) -> int:
    """Renders every turn to be learnt from and reads it back; how many there were."""
    turns = 0
    for t in trajectories:
        for index, prompt, completion in prompts_of(t):
            parsed = parse_answer(completion, t.tools)
            assert t.steps[0].content.strip() in prompt
            assert parsed.form == "object"
            assert same_calls(parsed.answer.calls, t.steps[index].tool_calls)
            turns += 1
    return turns


def reason(source: str, record: dict, where: str = "x.json:1") -> str:
    """Why a record is dropped."""
    try:
        SOURCES[source].convert(record, where)
    except Drop as drop:
        return drop.reason
    raise AssertionError("the record was converted")


def calls(trajectory: Trajectory) -> list[tuple[str, dict]]:
    """(name, arguments) of every call."""
    return [(call.name, call.arguments) for step in trajectory.steps for call in step.tool_calls]
