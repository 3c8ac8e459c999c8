"""MINT's interaction: words and counts as in its records, variables that stay, feedback, and turns that cost."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.agents import Action, AgentError, InfrastructureError, rollout, run
from xlam_lib.data.apigen.sandbox import Interpreter
from xlam_lib.environments.mint import ACTIONS, MANUAL, MintEnvironment, Problem
from xlam_lib.environments.mint.environment import LEFT, NO_OUTPUT, NOT_UNDERSTOOD
from xlam_lib.environments.mint.problems import FAMILIES, read_problems
from xlam_lib.schema import Step, ToolCall

SUM = Problem("gsm8k/0", "gsm8k", "What is 6 * 7?", "42")
OUT = re.compile(r"^Out\[\d+\]", re.MULTILINE)
OTHERS = ("sympy", "wikipedia", "numpy", "scipy", "doctest")  # what IPython shows otherwise, or isn't here
WORDS = st.text(min_size=1).map(str.strip).filter(lambda text: text and "<" not in text)


@pytest.fixture(scope="module")
def python():
    with Interpreter() as one:
        yield one


class Recorded:
    """In place of an interpreter: a session prints what the record says."""

    def __init__(self):
        self.printed = ""

    def session(self):
        return self

    def run(self, code):
        return self.printed

    def close(self):
        pass


class Says:
    """An agent that does one thing after another and keeps what it was shown."""

    name = "says"

    def __init__(self, *actions):
        self.actions, self.seen = list(actions), []

    def act(self, observation, history):
        self.seen.append("".join(step.content for step in observation.steps))
        action = self.actions.pop(0)
        if isinstance(action, Exception):
            raise action
        return action if isinstance(action, Action) else Action(action)


def answers(environment, *actions):
    """What the environment says to one action after another."""
    environment.reset(environment.problem.task)
    return [run(environment.step(action)) for action in actions]


def code(text):
    return Action.call("python", code=text)


@given(st.sampled_from(["python", "solution"]), WORDS)
def test_words_of_a_call_give_the_call_back(name, value):
    arguments = {"code" if name == "python" else "answer": value}
    assert ACTIONS.parse(f"<thought> Hm. </thought>\n{ACTIONS.render(name, arguments)}") == (name, arguments)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("<execute>\na = 1\n</execute> then <execute>a</execute>", ("python", {"code": "a = 1\na"})),
        ("<execute>1</execute> The answer is <solution> 1 </solution>.", ("solution", {"answer": "1"})),
        ("<execute>1", None),
        ("<solution>  </solution>", None),
        ("</solution> 4 <solution>", None),
        ("Thank you!", None),
    ],
)
def test_words_are_read_as_the_original_reads_them(text, call):
    assert ACTIONS.parse(text) == call


def test_words_and_counts_are_those_of_the_records(real_data):
    """81 recorded observations of the families in words: ours are the recorded texts, byte for byte."""
    same, ends = 0, 0
    for path in sorted((real_data / "mint_bench" / "raw").rglob("results.jsonl")):
        if path.parent.name not in FAMILIES[:5]:
            continue
        steps = next(int(part[3]) for part in path.parts if part.startswith("max"))
        problems = {problem.id: problem for problem in read_problems(path)}
        for line in path.read_text().splitlines():
            record = json.loads(line)
            texts = [message["content"] for message in record["state"]["history"][1:]]
            problem, python = problems[f"{path.parent.name}/{record['task']['task_id']}"], Recorded()
            environment = MintEnvironment(problem, python, max_steps=steps, strict=False)
            environment.reset(problem.task)
            for turn, expected in zip(texts[0::2], texts[1::2], strict=False):
                expected = expected.partition("\nExpert feedback:")[0]
                python.printed = expected.removeprefix("Observation:\n").rpartition("\nYou have ")[0]
                result = run(environment.step(Action(turn)))
                assert result.observation.steps[0].content == expected
                assert not result.done
                same += 1
            if len(texts) % 2:
                result = run(environment.step(Action(texts[-1])))
                assert result.done
                assert (result.termination == "success") == record["state"]["success"]
                ends += 1
    assert (same, ends) == (81, 38)


def test_code_prints_what_the_records_say(real_data, python):
    """Recorded turns until one needs another package: what is printed is the recorded text."""
    same = 0
    for path in sorted((real_data / "mint_bench" / "raw").rglob("results.jsonl")):
        for line in path.read_text().splitlines() if path.parent.name in FAMILIES else ():
            history = json.loads(line)["state"]["history"][1:]
            session = python.session()
            for turn, result in zip(history[0::2], history[1::2], strict=False):
                name, arguments = ACTIONS.parse(turn["content"]) or ("", {})
                printed = result["content"].removeprefix("Observation:\n").rpartition("\nYou have ")[0]
                if name == "python" and any(word in arguments["code"] for word in OTHERS):
                    break
                if name != "python":
                    continue
                found = session.run(arguments["code"]).strip() or NO_OUTPUT
                if "Traceback" in printed:  # as IPython prints it; its last line says the same
                    found, printed = found.splitlines()[-1], printed.splitlines()[-1]
                assert OUT.sub("", found) == OUT.sub("", printed)
                same += 1
            session.close()
    assert same == 49


def test_variables_stay_for_an_episode_and_no_longer(python):
    environment = MintEnvironment(SUM, python)
    texts = [r.observation.steps[0].content for r in answers(environment, code("a = 6"), code("b = a * 7\nb"))]
    assert texts[0] == "Observation:\n[Executed Successfully with No Output]\n" + LEFT.format(4, 2)
    assert texts[1] == "Observation:\nOut[2]: 42\n" + LEFT.format(3, 2)
    (forgotten,) = answers(environment, code("a"))
    assert "NameError: name 'a' is not defined" in forgotten.observation.steps[0].content
    environment.close()


def test_a_file_path_of_this_machine_is_in_no_traceback(python):
    (result,) = answers(MintEnvironment(SUM, python), code("import json\njson.loads('[')"))
    assert 'File "<piece 1>", line 2' in result.observation.steps[0].content
    assert "/" not in result.observation.steps[0].content


def test_long_output_is_cut(python):
    (result,) = answers(MintEnvironment(SUM, python), code("print('x' * 100_000)"))
    assert (
        result.observation.steps[0].content == f"Observation:\n{'x' * 2000}...\n[Output Truncated]\n{LEFT.format(4, 2)}"
    )


def test_two_wrong_solutions_or_five_turns_end_an_episode(python):
    wrong = Action.call("solution", answer="41")
    results = answers(MintEnvironment(SUM, python), wrong, wrong)
    assert [(r.done, r.reward, r.termination) for r in results] == [(False, 0.0, "unknown"), (True, 0.0, "failure")]
    results = answers(MintEnvironment(SUM, python), *[Action("Hm.")] * 5)
    assert [r.done for r in results] == [False] * 4 + [True]
    assert results[0].observation.steps == (Step("user", f"Observation:\n{NOT_UNDERSTOOD}\n{LEFT.format(4, 2)}"),)
    assert "take the last step" in results[3].observation.steps[0].content


def test_a_right_solution_ends_it_with_the_reward(python):
    (result,) = answers(MintEnvironment(SUM, python), Action("So <solution> 42 </solution>"))
    assert (result.done, result.reward, result.termination) == (True, 1.0, "success")


def test_each_call_gets_a_result_and_a_solution_counts_before_code(python):
    calls = (
        ToolCall("python", {"code": "1"}, "a"),
        ToolCall("solution", {"answer": "41"}, "b"),
        ToolCall("x", {}, "c"),
    )
    (result,) = answers(MintEnvironment(SUM, python), Action(tool_calls=calls))
    found = {step.tool_call_id: step.content for step in result.observation.steps}
    assert found.keys() == {"a", "b", "c"}
    assert "Your answer is wrong." in found["b"]
    for broken in (
        ToolCall("eval", {"code": "1"}, "a"),
        ToolCall("python", {"code": 5}, "a"),
        ToolCall("python", {}, "a"),
    ):
        (result,) = answers(MintEnvironment(SUM, python), Action(tool_calls=(broken,)))
        assert result.observation.steps[0].is_error
        assert "I don't understand your input" in result.observation.steps[0].content


def test_an_expert_comments_on_each_turn_but_the_last(python):
    expert = Says("Check the sum.", "Better.")
    environment = MintEnvironment(SUM, python, expert=expert, with_reference=True)
    agent = Says(code("6 + 7"), Action.call("solution", answer="13"), Action.call("solution", answer="42"))
    episode = run(rollout(agent, environment, SUM.task))
    assert episode.outcome.success
    said = [step.content for step in episode.steps if step.role == "user"]
    assert said[1:] == ["Expert feedback:\nCheck the sum.", "Expert feedback:\nBetter."]
    assert "What is 6 * 7?" in expert.seen[0]
    assert "not to be disclosed: 42" in expert.seen[0]
    assert "<execute>\n6 + 7\n</execute>\nObservation:\nOut[1]: 13\n" in expert.seen[0]
    assert expert.seen[1].startswith("Assistant:\n<solution> 13 </solution>\nObservation:\nYour answer is wrong.")


def test_an_expert_that_fails_is_no_fault_of_the_agent(python):
    environment = MintEnvironment(SUM, python, expert=Says(AgentError("no JSON")))
    with pytest.raises(InfrastructureError, match="MINT's expert: no JSON"):
        answers(environment, code("1"))


def test_the_example_is_what_the_environment_plays(python):
    """The manual's solved episode, its calls made anew: the same observations."""
    (example,) = MANUAL.examples
    calls = [step.tool_calls[0] for step in example.steps if step.tool_calls]
    problem = Problem("gsm8k/1", "gsm8k", example.steps[0].content.removeprefix("Task:\n"), "216")
    agent = Says(*(Action(tool_calls=(call,)) for call in calls))
    episode = run(rollout(agent, MintEnvironment(problem, python), problem.task))
    assert [step.content for step in episode.steps if step.role != "assistant"] == [
        step.content for step in example.steps if step.role != "assistant"
    ]
    assert "5 turns" in MANUAL.instruction
    assert "only 2 times" in MANUAL.instruction
