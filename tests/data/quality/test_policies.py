"""What a source declares about its verification, each time with a record that shows why."""

from dataclasses import replace

import pytest

from xlam_lib.data.quality.findings import Policy, policy_of
from xlam_lib.data.quality.verify import verify
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

DECLARED = {"webshop_human_trajs", "react", "reflexion_hotpotqa", "mint_bench"}


def rules(source: str, name: str, arguments: dict, result: str = "ok") -> tuple[set[str], set[str]]:
    """What is found in one call, as the source wants it and as it is usual."""
    properties = {key: {"type": "string"} for key in arguments}
    t = Trajectory(
        "x",
        Source(source, "MIT"),
        tools=(Tool(name, "", {"type": "object", "properties": properties}),),
        steps=(
            Step("user", "Do it"),
            Step("assistant", tool_calls=(ToolCall(name, arguments, "a"),)),
            Step("tool", result, tool_call_id="a", name=name),
            Step("assistant", "Done"),
        ),
    )
    usual = replace(policy_of(SOURCES[source].SOURCE), composed=(), invalid=())
    both = (verify(t, policy)[1] for policy in (policy_of(SOURCES[source].SOURCE), usual))
    return tuple({one.rule for one in found} for found in both)


def test_who_declares_a_policy():
    assert {name for name, module in SOURCES.items() if module.SOURCE.policy != Policy()} == DECLARED


def test_people_click_what_the_log_does_not_show():
    assert rules("webshop_human_trajs", "click", {"element": "< Prev"}) == (set(), {"ungrounded value"})


@pytest.mark.parametrize("source", ["react", "reflexion_hotpotqa"])
def test_titles_are_guessed_answers_are_not(source):
    title = {"entity": "William Shakespeare"}
    assert rules(source, "Search", title) == (set(), {"ungrounded value"})
    assert rules(source, "Lookup", title)[0] == {"ungrounded value"}


def test_one_refused_move_among_several_counts():
    result = "Observation:\nOn the cabinet 1, you see a dishsponge 1.\nNothing happens."
    assert rules("mint_bench", "execute_python", {}, result) == ({"invalid action"}, set())


@pytest.mark.parametrize("source", ["webshop_human_trajs", "react", "reflexion_hotpotqa", "mint_bench"])
def test_nothing_real_is_ungrounded_there(real_data, source):
    policy = policy_of(SOURCES[source].SOURCE)
    findings = [one for t in load_source(source, real_data / source) for one in verify(t, policy)[1]]
    assert [one.found for one in findings if one.rule == "ungrounded value"] == []
