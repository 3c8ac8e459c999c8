"""Turns that run Python within tags: "<thought> Sum. </thought>\\n<execute>\\nprint(1 + 1)\\n</execute>".

As MINT and CodeActInstruct write them. No source itself; used by `mint_bench` and `adp_other` (notebook 01):

    MINT.parse("Assistant:\\n<execute>\\n1 + 1\\n</execute>").arguments   # {"code": "1 + 1"}
"""

from __future__ import annotations

import re

from xlam_lib.data.formats.actions import Grammar
from xlam_lib.data.formats.turn_layouts import REST, Dialect, Exchange, Form, Turn, literal, stretch, tool

CUT = stretch(
    r"(?<!\n)\n*+At each turn, you should first provide your step-by-step thinking", r"<solution> A </solution>\.\n*"
)
FEEDBACK = "\n\nExpert feedback:\n"
SPEAKER = r"\s*+(?:Assistant:\s*+)?"
TAG = SPEAKER + r"<thought>\s*+"
TAGGED = r"(?P<thought>[^\s<](?:(?:(?!</?thought>).)*\S)?)\s*"
MAY_END = r"(?:</thought>\s*)?"
SAID = r"</thought>\s*(?P<content>[^\s<](?:[^<]*[^\s<])?)\s*"  # "The answer is", behind a thought in tags
VALUE = r"\s*+(?P<{0}>(?>.*<execute>|\S)(?:.*?\S)??)\s*</{1}>"  # with the last <execute>: behind it none may stand
CODE, SOLUTION = VALUE.format("code", "execute"), VALUE.format("solution", "solution") + r"\.?"
BLOCK = re.compile(r"<execute>(.*?)(</execute>|\Z)", re.DOTALL)
GRAMMAR = Grammar(
    (
        tool("execute_python", "Run Python code in an interactive session; gives what it prints.", code="the code"),
        tool("propose_solution", "Propose the solution of the task.", solution="the solution, in the form asked for"),
    )
)
FORMS = (  # a turn with a solution proposes it, whatever else it holds
    Form("<solution>", SOLUTION + REST, "propose_solution", opening=TAG, before=TAGGED + MAY_END),
    Form("<solution>", SOLUTION + r"\s*", "propose_solution", opening=TAG, before=TAGGED + SAID),
    Form("<solution>", SOLUTION + REST, "propose_solution", opening=SPEAKER),
    Form("<execute>", CODE + REST, "execute_python", opening=TAG, before=TAGGED + MAY_END),
    Form("<execute>", CODE + r"\s*", "execute_python", opening=TAG, before=TAGGED + SAID),
    Form("<execute>", CODE + REST, "execute_python", opening=SPEAKER),
)


def several_blocks(text: str) -> Turn | None:
    """A turn with several <execute> blocks, which are run as one: their code is joined by line ends."""
    if text.count("</execute>") < 2 or "<solution>" in text:
        return None
    blocks = [block.strip() for block, end in BLOCK.findall(text) if end and block.strip()]
    if len(blocks) < 2:
        return None
    head = text.partition("<execute>")[0]
    thought = re.sub(r"^\s*Assistant:|</?thought>", "", head).strip()
    at = head.find(thought) if thought else -1
    if at < 0:
        return Turn(literal(text), "execute_python", {"code": "\n".join(blocks)})
    layout = literal(text[:at]) + "{thought}" + literal(text[at + len(thought) :])
    return Turn(layout, "execute_python", {"code": "\n".join(blocks)}, thought)


MINT = Dialect(
    GRAMMAR,
    FORMS,
    "Assistant:\n\n<thought>\n{thought}\n</thought>\n",
    {
        "execute_python": "<execute>\n{code}\n</execute>\n",
        "propose_solution": "<solution> {solution} </solution>\n",
    },
    special=several_blocks,
)
CODEACT = Dialect(
    GRAMMAR,
    FORMS,
    "{thought}\n",
    {"execute_python": "<execute>\n{code}\n</execute>", "propose_solution": "<solution> {solution} </solution>"},
    special=several_blocks,
)
ERRORS = r"\n\w*(?:Error|Exception|Interrupt): |^Observation:\nI don't understand your input"


def instruction_of(prompt: str) -> str:
    """A prompt without what it says on tags, and without worked examples behind "---"."""
    return re.sub(CUT, "\n\n", prompt, flags=re.DOTALL).split("\n---\n")[0].strip()


def answer(exchange: Exchange, text: str) -> None:
    """An observation, with the expert's feedback behind it as a user's message of its own."""
    observation, mark, feedback = text.partition(FEEDBACK)
    if exchange.open is None or not observation:
        exchange.environment(text)
        return
    exchange.environment(observation)
    if mark and feedback:
        exchange.user(mark.strip("\n") + "\n" + feedback)
