"""How HotpotQA is explained to a model: the task, the actions, and two questions solved step by step (notebook 05).

The examples are questions of the embedded training split; their observations come from the page itself.

    manual().examples[0].steps[1].reasoning        # "I need to find for which animal the reserve was set up, ..."
"""

from __future__ import annotations

from functools import cache

from xlam_lib.agents.manual import Example, Manual
from xlam_lib.data.formats.environments import WIKI
from xlam_lib.environments.hotpotqa.articles import Page
from xlam_lib.environments.hotpotqa.questions import embedded
from xlam_lib.schema import Step, ToolCall

INSTRUCTION = """\
Answer a question by searching an encyclopedia. The answer is found in two articles: often the first one names the
second. There are three actions:
Search[entity] opens the article of this title and shows its first five sentences. If there is none, it shows similar
titles, one of which you can search for next.
Lookup[keyword] shows the next sentence with this keyword in the article that is open, also beyond the first five.
Finish[answer] answers the question and ends the task. The answer is a name, a date, a number, yes or no: as few words
as possible, and no sentence."""

LABOURS = {"search": ("Search", "Lookup"), "answer": ("Finish",)}  # BOLAA: who searches, and who answers

EXAMPLES = {  # id of a question -> (plan, (thought, action) in turns)
    "hard-03": (
        "Find out for which animal the reserve on the upper Velde River was set up, then how long its adults are.",
        (
            (
                "I need to find for which animal the reserve was set up, and then how long its adults are. I begin "
                "with the river.",
                "Search[Velde River]",
            ),
            ("The first sentences say nothing about a reserve, so I look it up.", "Lookup[reserve]"),
            ("That is when the reserve was set up, not for which animal. There is one more result.", "Lookup[reserve]"),
            ("The reserve protects the Velde otter. I need to search it to see how long adults are.",
             "Search[Velde otter]"),
            ("Adults are about 110 centimetres long, so the answer is 110 centimetres.", "Finish[110 centimetres]"),
        ),
    ),
    "medium-04": (
        "Find out how long The Glass Ferryman and Saltwind are, then compare the two.",
        (
            ("I need to search both films and compare how long they run.", "Search[Glass Ferryman]"),
            ("There is no such article, but The Glass Ferryman is the film that I mean.", "Search[The Glass Ferryman]"),
            ("The Glass Ferryman runs for 94 minutes. I need to search Saltwind next.", "Search[Saltwind]"),
            ("Saltwind runs for 128 minutes, which is longer than 94, so the answer is Saltwind.", "Finish[Saltwind]"),
        ),
    ),
}  # fmt: skip


@cache
def manual() -> Manual:
    """The manual, the same one each time."""
    return Manual(INSTRUCTION, WIKI, tuple(_example(name, *solved) for name, solved in EXAMPLES.items()), LABOURS)


def _example(name: str, plan: str, solution: tuple[tuple[str, str], ...]) -> Example:
    questions, corpus = embedded()
    question = next(one for one in questions if one.id == name)
    page, steps = Page(), [Step("user", question.question)]
    for number, (thought, action) in enumerate(solution):
        call = ToolCall(*WIKI.parse(action), f"call_{number}")
        (value,) = call.arguments.values()
        if call.name == "Search":
            observed = page.show(value, corpus.find(value))
        else:
            observed = page.lookup(value) if call.name == "Lookup" else "Answer is CORRECT"
        steps.append(Step("assistant", reasoning=thought, tool_calls=(call,), reasoning_origin="native"))
        steps.append(Step("tool", observed, tool_call_id=call.id, name=call.name))
    return Example(tuple(steps), plan)
