"""A benchmark of a few lines, for tests of the runner: guess a number that the prompt gives away."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from xlam_lib.agents import Action, Example, Manual, Observation, StepResult, tool_result
from xlam_lib.bench.base import Task
from xlam_lib.data.formats.actions import Action as Template
from xlam_lib.data.formats.actions import Grammar
from xlam_lib.schema import Step, ToolCall
from xlam_lib.schema import Task as Goal

GUESS = Grammar((Template("guess[{n}]", "guess", "Guess.", types={"n": "integer"}),))
SOLVED = Example((Step("user", "It is 1."), Step("assistant", "", "Easy.", (ToolCall("guess", {"n": 1}, "call_0"),))))


@dataclass(frozen=True)
class Number:
    id: str
    number: int

    @property
    def task(self):
        return Goal(f"It is {self.number}.", f"toy/{self.id}")


class Game:
    manual, tools = Manual("Guess the number.", GUESS, (SOLVED,)), GUESS.tools()

    def __init__(self, item):
        self.number = item.number

    def reset(self, task, seed=0):
        return Observation((Step("user", task.instruction),))

    def step(self, action):
        if not action.tool_calls:
            return StepResult(Observation((Step("user", "Guess, please."),)))
        (call,) = action.tool_calls
        right = call.arguments.get("n") == self.number
        answer = Observation((tool_result(call, "yes" if right else "no"),))
        return StepResult(answer, float(right), right, "success")


class Knows:
    name = "oracle"

    def __init__(self, item):
        self.item = item

    def act(self, observation, history):
        return Action.call("guess", n=self.item.number)


class Toy(Task):
    name, title, metric = "toy", "A toy", "Reward 1 for the number."
    differs, published, max_steps = "It is a toy.", ("webshop_bolaa",), 3

    def __init__(self, split="test", count=12):
        self.count = count

    def items(self):
        return [Number(f"n{n}", n) for n in range(self.count)]

    def environment(self, item):
        return Game(item)

    def expert(self, item):
        return Knows(item)

    def score(self, item, answer, cut_off=False):
        right = bool(answer.outcome.success)
        return {"reward": float(right), "success": right, "failure": "" if right else "wrong_answer", "kind": ""}


def guess(messages):
    """The number of the task at hand; right for all but 7."""
    number = messages[-1]["content"].rpartition("It is ")[2].partition(".")[0]
    return f"Thought: easy.\nAction: guess[{0 if number == '7' else number}]"


async def slow(messages):
    """The same, a moment later, and each question noted in a file."""
    await asyncio.sleep(0.2)
    return guess(messages)


def counted(messages):
    with open(Path(os.environ["TOY_LOG"]), "a") as file:
        file.write("asked\n")
    time.sleep(0.02)
    return guess(messages)
