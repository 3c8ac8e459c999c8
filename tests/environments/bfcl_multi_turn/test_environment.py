"""Conversations of BFCL: turns in order, BFCL's own verdicts, and whatever a model calls is contained."""

import functools
import os
import sys

import psutil
import pytest

from xlam_lib.agents.base import Action, InfrastructureError
from xlam_lib.agents.rollout import rollout, run
from xlam_lib.data.apigen.sandbox import Limits
from xlam_lib.environments.bfcl_multi_turn import Backend, BfclError, BfclMultiTurn, CallError, load, practice
from xlam_lib.environments.bfcl_multi_turn import backend as backend_module
from xlam_lib.environments.bfcl_multi_turn.backend import BEYOND
from xlam_lib.environments.bfcl_multi_turn.environment import MOST_STEPS, NEW_FUNCTIONS, REFUSED, turn_text
from xlam_lib.schema import Task, ToolCall

SCENARIOS = {scenario.id: scenario for scenario in practice()}
FILES, TICKETS, SUMS, LONG = SCENARIOS.values()


@pytest.fixture(scope="module")
def backend():
    made = Backend(Limits(seconds=30.0, cpu_seconds=1.0, memory_mb=1024))
    yield made
    made.close()


@functools.cache
def base():
    return load("multi_turn_base")


class Script:
    """Says what it is given: calls, or words."""

    name = "script"

    def __init__(self, *actions):
        self.actions = iter(actions)

    def act(self, observation, history):
        action = next(self.actions)
        return action if isinstance(action, Action) else Action(tool_calls=tuple(action))


DONE = Action("Done.")


def played(backend, scenario, *actions, max_steps=200):
    environment = BfclMultiTurn([scenario], backend)
    return run(rollout(Script(*actions), environment, environment.task(scenario.id), max_steps=max_steps))


def expected(scenario):
    return [action for calls in scenario.ground_truth for action in ([calls, DONE] if calls else [DONE])]


def said(episode):
    return [step.content for step in episode.steps if step.role == "tool"]


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_our_own_scenarios_can_be_solved_and_give_what_they_say(backend, scenario):
    episode = played(backend, scenario, *expected(scenario))
    assert (episode.outcome.success, episode.outcome.reward, episode.outcome.termination) == (True, 1.0, "success")
    episode.validate("error")
    users = [step.content for step in episode.steps if step.role == "user"]
    assert users == [turn_text(scenario, turn) for turn in range(len(scenario.turns))]
    if scenario.results:
        assert said(episode) == [result for turn in scenario.results for result in turn]
    assert len([step for step in episode.steps if step.reward is not None]) == 1


def test_the_manual_shows_functions_and_solved_conversations(backend):
    environment = BfclMultiTurn([SUMS], backend)
    manual = environment.manual
    assert '"mean"' in manual.instruction and '"standard_deviation"' not in manual.instruction
    assert manual.actions.parse("mean(numbers=[1, 2])") == ("mean", {"numbers": [1, 2]})
    assert len(manual.examples) == 2 and all(example.steps[-1].role == "assistant" for example in manual.examples)


def test_held_out_functions_come_with_words_and_can_then_be_seen(backend):
    environment = BfclMultiTurn([SUMS], backend)
    environment.reset(environment.task(SUMS.id))
    before = {tool.name for tool in environment.tools}
    for _ in range(2):
        observation = environment.step(DONE).observation
    shown = observation.steps[0].content
    assert {tool.name for tool in environment.tools} - before == {"standard_deviation"}
    assert NEW_FUNCTIONS in shown and '"standard_deviation"' in shown
    assert {tool.name for tool in environment.tools} == SUMS.names


def test_the_protocol_is_that_of_the_package():
    from bfcl_eval.constants import default_prompts

    assert default_prompts.MAXIMUM_STEP_LIMIT == MOST_STEPS
    assert default_prompts.DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC == NEW_FUNCTIONS


def test_state_lasts_through_an_episode_and_no_longer(backend):
    close = ToolCall("close_ticket", {"ticket_id": 7})
    for _ in range(2):
        episode = played(backend, TICKETS, [close], DONE, DONE, [close], DONE)
        first, second = said(episode)
        assert "closed successfully" in first and "already closed" in second


def test_two_conversations_at_once_do_not_meet(backend):
    one, two = BfclMultiTurn([FILES], backend), BfclMultiTurn([FILES], backend)
    for environment in (one, two):
        environment.reset(environment.task(FILES.id))
    moved = one.step(Action(tool_calls=(ToolCall("cd", {"folder": "recipes"}, "a"), ToolCall("ls", {}, "b"))))
    stayed = two.step(Action(tool_calls=(ToolCall("ls", {}, "a"),)))
    assert "bread.txt" in moved.observation.steps[1].content and "bread.txt" not in stayed.observation.steps[0].content


def test_more_than_twenty_steps_in_a_turn_are_a_failure(backend):
    look = [ToolCall("pwd")]
    calls, done = FILES.ground_truth[0], expected(FILES)[1:]
    enough = played(backend, FILES, *[look] * (MOST_STEPS - 1), calls, *done)
    assert enough.outcome.success
    episode = played(backend, FILES, *[look] * MOST_STEPS, calls, *done)
    assert (episode.outcome.termination, episode.outcome.reward) == ("failure", 0.0)
    assert len([step for step in episode.steps if step.role == "assistant"]) == MOST_STEPS + 1


@pytest.mark.parametrize(
    "actions",
    [
        [DONE] * 3,
        [FILES.ground_truth[0], DONE, DONE, FILES.ground_truth[2], DONE],  # the second turn left out
        [FILES.ground_truth[0], DONE, FILES.ground_truth[1], DONE, FILES.ground_truth[2][:1], DONE],
        [[ToolCall("cd", {"folder": "soups"})], DONE, *expected(FILES)[2:]],
    ],
)
def test_a_conversation_that_leads_elsewhere_fails(backend, actions):
    episode = played(backend, FILES, *actions)
    assert (episode.outcome.success, episode.outcome.reward) == (False, 0.0)


def test_more_calls_than_the_answers_are_fine_if_the_systems_stand_the_same(backend):
    actions = expected(FILES)
    actions.insert(1, [ToolCall("ls", {"a": True})])
    assert played(backend, FILES, *actions).outcome.success


@pytest.mark.parametrize("number", [0, 57, 111, 163])
def test_verdicts_are_those_of_the_package(backend, number):
    """The same calls, some left out, changed or in another order, by the package's checker in this process."""
    from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker

    scenario = base()[number]
    whole = [[list(calls)] if calls else [] for calls in scenario.answers]
    changed = [
        whole,
        [*whole[:-1], []],
        [[[*whole[0][0], "no_such_function()"]], *whole[1:]],
        [[whole[0][0][:-1]], *whole[1:]],
        [[[call] for call in turn[0]] for turn in whole],
        [[turn[0][::-1]] for turn in whole],
    ]
    entry = {"id": scenario.id, "initial_config": scenario.config, "involved_classes": list(scenario.classes)}
    for place, turns in enumerate(changed):
        theirs = multi_turn_checker(turns, scenario.answers, entry, scenario.category, f"test{place}")
        ours = backend.check(scenario, turns)
        assert (ours.valid, ours.error_type) == (theirs["valid"], theirs.get("error_type", ""))
    assert backend.check(scenario, whole).valid


def test_a_conversation_cut_short_is_invalid(backend):
    assert backend.check(FILES, [[["cd(folder='recipes')"]]]).error_type == "multi_turn:force_terminated"


HOSTILE = {
    "shell": ToolCall("echo", {"content": "$(touch {canary}); rm -rf / &", "file_name": "x"}),
    "import": ToolCall("echo", {"content": "__import__('os').system('touch {canary}')"}),
    "quotes": ToolCall("echo", {"content": "'); __import__('os').system('touch {canary}'); ('"}),
    "name": ToolCall("__import__('os').system('touch {canary}')#", {}),
    "argument": ToolCall("echo", {"content=__import__('os').system('touch {canary}')#": 1}),
    "names of calls in a text": ToolCall("echo", {"content": "cd('x') ls() \\'); ls("}),
    "half a character": ToolCall("echo", {"content": "\ud800"}),
    "null": ToolCall("echo", {"content": "\x00"}),
    "infinity": ToolCall("echo", {"content": float("inf")}),
    "long": ToolCall("echo", {"content": "x" * 2**24}),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_calls_are_text_or_an_error_and_no_more(backend, attack, tmp_path):
    canary, before = tmp_path / "canary", running()

    def placed(text):
        return text.replace("{canary}", str(canary)) if isinstance(text, str) else text

    call = HOSTILE[attack]
    call = ToolCall(placed(call.name), {placed(key): placed(value) for key, value in call.arguments.items()})
    episode = played(backend, FILES, [call], DONE, DONE, DONE)
    assert episode.outcome.termination == "failure" and episode.outcome.reward == 0.0
    assert not canary.exists() and running() - before <= backend_processes(backend)
    assert backend.execute(FILES, [["pwd()"]]) == ('{"current_working_directory": "/kitchen"}',)


def test_a_call_without_end_costs_its_time_and_the_episode(backend):
    before = os.times()
    endless = ToolCall("power", {"base": 7, "exponent": 10**9})
    episode = played(backend, SUMS, [endless], DONE, DONE, DONE, DONE)
    assert episode.outcome.termination == "failure" and "TimeoutError" in said(episode)[0]
    assert os.times().user - before.user < 5  # of ours
    assert played(backend, SUMS, *expected(SUMS)).outcome.success


SOURCE = {
    "a process in the background": "__import__('os').system('sleep 1000 &')",
    "a fork": "__import__('os').fork()",
    "a file": "open('{canary}', 'w').write('x')",
    "a program": "__import__('subprocess').Popen(['touch', '{canary}'])",
    "our memory": "open('/proc/{ours}/environ', 'rb').read()",
    "a signal": "__import__('os').kill({ours}, 9)",
    "the network": "__import__('socket').create_connection(('127.0.0.1', 9))",
    "memory without end": "bytearray(64 * 2**30)",
    "a loop without end": "[0 for _ in iter(int, 1)]",
    "an exit": "__import__('os')._exit(0)",
    "an answer without end": "'x' * 10**7",
}


@pytest.mark.skipif(sys.platform != "linux", reason="the fences are Linux's")
@pytest.mark.parametrize("attack", SOURCE)
def test_even_code_that_was_evaluated_would_be_contained(backend, attack, tmp_path, monkeypatch):
    """No call of a model becomes such source; the fences hold without relying on that."""
    monkeypatch.setenv("SECRET", "of ours")
    canary, before = tmp_path / "canary", running()
    source = SOURCE[attack].replace("{canary}", str(canary)).replace("{ours}", str(os.getpid()))
    try:
        found = backend.execute(FILES, [[source]])
    except CallError as error:
        found = (str(error),)
    assert "rror" in found[0] and "of ours" not in found[0] and len(found[0]) < 10_000
    assert not canary.exists() and running() - before <= backend_processes(backend)
    assert backend.execute(FILES, [["pwd()"]]) == ('{"current_working_directory": "/kitchen"}',)


def test_calls_of_megabytes_do_not_reach_the_child(backend, monkeypatch):
    monkeypatch.setattr(backend_module, "LONGEST", 1000)
    with pytest.raises(CallError, match="calls are longer than 1000 characters"):
        backend.execute(FILES, [["ls()"] * 300])
    assert backend.check(FILES, [[["ls()"] * 300], [], []]).error_type == BEYOND


def test_a_sandbox_that_can_not_start_is_no_wrong_answer(monkeypatch):
    monkeypatch.setattr(backend_module, "CHILD", "no.such.module")
    broken = Backend()
    episode = played(broken, FILES, *expected(FILES))
    assert (episode.outcome.termination, episode.outcome.reward) == ("infra_error", None)
    with pytest.raises(InfrastructureError, match="BFCL's systems can't be run: LoadError"):
        broken.check(FILES, [[], [], []])
    broken.close()


def test_nothing_runs_after_the_end():
    before = running()
    made = Backend()
    made.execute(FILES, [["ls()"]])
    assert running() > before
    made.close()
    assert running() <= before


def test_misuse_is_said(backend):
    environment = BfclMultiTurn([FILES], backend)
    with pytest.raises(BfclError, match="no scenario 'x' here"):
        environment.reset(Task("Hi", "x"))
    environment.reset(environment.task(FILES.id))
    for _ in range(3):
        result = environment.step(DONE)
    assert result.done
    with pytest.raises(BfclError, match="the conversation is over"):
        environment.step(DONE)


def test_what_stands_for_a_refused_call_is_no_function():
    assert REFUSED.partition("(")[0] not in {name for scenario in SCENARIOS.values() for name in scenario.names}


def running():
    """All processes that this one started, and theirs."""
    return {process.pid for process in psutil.Process().children(recursive=True) if process.status() != "zombie"}


def backend_processes(backend):
    child = backend._box._child
    return {child.pid, child._watcher.pid, *(one.pid for one in psutil.Process(child.pid).children(recursive=True))}
