"""The turns of AgentInstruct's agents in six environments: Operating System, Database, Knowledge Graph, Mind2Web, ...

WebShop and ALFWorld, too. No source itself; `agentinstruct_adp`, `adp_other` and `agentbench` use it (notebook 01).

    ENVIRONMENTS["kg"].dialect.parse("Thought: Look.\\nAction: get_relations(Oslo)").arguments   # {"variable": "Oslo"}
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xlam_lib.data.formats.actions import Grammar
from xlam_lib.data.formats.environments import ALFWORLD, WEBSHOP
from xlam_lib.data.formats.turn_layouts import REST, Dialect, Form, stretch, tool
from xlam_lib.trajectory import Tool

ANSWERS = Tool(
    "answer",
    "Commit the final answer. After a change of the database it can be anything.",
    {
        "type": "object",
        "properties": {"answers": {"type": ["array", "string"], "description": "the values asked for"}},
        "required": ["answers"],
    },
)
BASH = tool("execute_bash", "Execute bash code in the operating system.", command="the code")
SQL = tool("execute_sql", "Execute one SQL statement in the MySQL database.", query="the statement")
KG_FUNCTIONS = (
    tool("get_relations", "List all relations of an entity or a variable.", variable="entity, or variable such as #0"),
    tool(
        "get_neighbors",
        "All entities that are connected to a variable by a relation; gives a new variable.",
        variable="entity, or variable such as #0",
        relation="one that get_relations listed",
    ),
    tool("intersection", "What two variables of one type share.", variable1="such as #0", variable2="such as #1"),
    tool("get_attributes", "List the numerical attributes of a variable.", variable="such as #0"),
    tool("argmax", "The entity with the largest value of an attribute.", variable="such as #0", attribute="its name"),
    tool("argmin", "The entity with the smallest value of an attribute.", variable="such as #0", attribute="its name"),
    tool("count", "The number of entities of a variable.", variable="such as #0"),
)
WEB_VALUES = {"TYPE": ("type_text", "Type a text into the element of a choice."), "SELECT": ("select_option", "Pick.")}
WEB_PLAIN = {
    "CLICK": ("click", "Click the element of a choice."),
    "HOVER": ("hover", "Move the pointer over the element of a choice."),
    "ENTER": ("press_enter", "Press Enter in the element of a choice."),
}


def _os() -> Dialect:
    opening = r"\s*+(?:Think:\s*+)?"
    return Dialect(
        Grammar(
            (
                BASH,
                tool("answer", "Answer the question and end the task.", answer="the answer"),
                tool("finish", "End the task, because it is done."),
            )
        ),
        (
            Form(
                r"Act:\s*bash\s*```(?:bash|sh|shell)?[ \t]*\n",
                rf"(?P<command>.*?)\n?```{REST}",
                "execute_bash",
                opening=opening,
            ),
            Form(r"Act:\s*answer\(", r"(?P<answer>.*)\)\s*", "answer", opening=opening),
            Form(r"Act:\s*finish", r"(?:\(\))?\s*", "finish", opening=opening),
        ),
        "Think: {thought}\n\n",
        {
            "execute_bash": "Act: bash\n\n```bash\n{command}\n```",
            "answer": "Act: answer({answer})",
            "finish": "Act: finish",
        },
    )


def _db() -> Dialect:
    operation = r"\s*+(?:(?:sql|mysql)\s*+)?(?P<query>\S(?:.*?\S)??)\s*```"
    return Dialect(
        Grammar((SQL,)),
        (
            Form(r"Action:\s*Operation\s*```", operation + REST, "execute_sql"),
            Form(
                r"Action:\s*Answer\s*Final Answer:",
                r"\s*(?P<answers>\S(?:.*\S)?)\s*",
                "answer",
                json=("answers",),
            ),
        ),
        "{thought}\n",
        {
            "execute_sql": "Action: Operation\n```sql\n{query}\n```",
            "answer": "Action: Answer\nFinal Answer: {answers}",
        },
        (ANSWERS,),
    )


def _kg() -> Dialect:
    opening = r"\s*+(?:Thought:\s*+)?"
    behind = r"[ \t]*(?:\n.*)?"
    forms = []
    for action in KG_FUNCTIONS:
        slots = [rf"\s*+(?P<{slot}>(?:[^\n]*?\S)??)\s*" for slot in list(action.slots)[:-1]]
        last, comma = list(action.slots)[-1], "" if len(action.slots) == 1 else ","
        slots.append(rf"\s*+(?P<{last}>(?:[^\n{comma}]*?[^\s{comma}])??)\s*")
        mark, inside = rf"Action:\s*{action.name}\(", rf"{','.join(slots)}\){behind}"
        forms.append(Form(mark, inside, action.name, opening=opening))
    final = tool("final_answer", "Name the variable that is the answer, and end.", variable="such as #3")
    forms.append(Form("Final Answer:", r"\s*+(?P<variable>[^\n]*\S)\s*", final.name, opening=opening))
    usual = {action.name: f"Action: {action.template}" for action in KG_FUNCTIONS}
    return Dialect(
        Grammar((*KG_FUNCTIONS, final)),
        tuple(forms),
        "Thought: {thought}\n",
        {**usual, final.name: "Final Answer: {variable}"},
    )


def _mind2web() -> Dialect:
    opening = r"\s*+(?:Thought:\s*+)?"
    choice = r"\s*(?P<choice>[A-Z])\b\.?\s*Action:\s*"
    actions, forms, usual = [], [], {}
    for word, (name, what) in WEB_PLAIN.items():
        actions.append(tool(name, what, choice="its letter"))
        forms.append(Form("Answer:", rf"{choice}{word}\s*", name, opening=opening))
        usual[name] = f"Answer: {{choice}}.\nAction: {word}"
    for word, (name, what) in WEB_VALUES.items():
        actions.append(tool(name, what, choice="letter of the element", value="the text or the option"))
        value = rf"{choice}{word}\s*Value:\s*(?P<value>\S(?:.*\S)?)\s*"
        forms.append(Form("Answer:", value, name, opening=opening))
        usual[name] = f"Answer: {{choice}}.\nAction: {word}\nValue: {{value}}"
    actions.append(tool("none_of_the_above", "No element on this page is the right one (choice A)."))
    none = r"\s*A\b\.?\s*+(?:None of the above\.?\s*)?"
    forms.append(Form("Answer:", none, "none_of_the_above", opening=opening))
    usual["none_of_the_above"] = "Answer: A."
    return Dialect(Grammar(tuple(actions)), tuple(forms), "Thought: {thought}\n", usual)


def thought_and_action(grammar: Grammar, before: str, between: str) -> Dialect:
    """A thought between two labels, in any spacing: `thought_and_action(WEBSHOP, "Thought: ", "\\nAction: ")`.

    A turn may also be "Action: search[...]" alone.
    """
    label, action = before.strip(), between.strip()
    opened, closed = r"\s*+(?:<finish>\s*+)?", r"\s*(?:</finish>\s*)?"  # as ADP wraps the last turn
    inside = rf"\s*(?P<action>\S(?:.*?\S)??){closed}"
    form = Form(action, inside, opening=rf"{opened}(?:{label}\s*+)?")
    return Dialect(grammar, (form,), before + "{thought}" + between.partition(action)[0], _bare(grammar, between))


def _bare(grammar: Grammar, between: str) -> dict[str, str]:
    return {action.name: between.lstrip() + "{action}" for action in grammar.actions}


@dataclass(frozen=True)
class Environment:
    """A dialect and what its prompts look like."""

    dialect: Dialect
    marker: str  # by which the prompt is known
    cut: str = ""  # pattern of the prompt's parts about the format of answers
    task: str = ""  # pattern before the task, where prompt and first task are one message
    lead: str = ""  # pattern before the question
    again: str = ""  # pattern before the question that follows a worked example
    errors: str = ""


ENVIRONMENTS = {
    "os": Environment(
        _os(),
        "role of linux(ubuntu) operating system",
        stretch(" For each of your turn, you should first think", "(?=If the output is too long)"),
        r"(?<!\n)\n++Now, my problem is:\n+",
        again=r"Now, I will start a new problem in a new OS\. My problem is:\s*",
    ),
    "db": Environment(
        _db(),
        "operate a MySQL database",
        stretch("After thinking and explaining thoroughly", r"in one line\.\n")
        + "|"
        + stretch("If you are done operating", r"Final Answer:[^\n]*\n")
        + r"|DO NOT write this pattern[^\n]*\n|If your response cannot match any pattern[^\n]*\n",
        errors=r"^\d{4} \(\w+\): ",
    ),
    "kg": Environment(
        _kg(),
        "knowledge stored in a knowledge base",
        stretch(
            r" To achieve this, you can use the following tools to query the KB\.\n",
            "(?=\n\nAfter a variable is produced)",
        )
        + r"|Once you find the answer, respond with 'Final Answer: #id'[^\n]*\n",
        lead=r"Question:\s*",
        again=r"A new question:\s*",
        errors=r"cannot be executed",
    ),
    "mind2web": Environment(_mind2web(), "Based on the HTML webpage above"),
    "webshop": Environment(
        thought_and_action(WEBSHOP, "Thought:\n", "\n\nAction:\n"),
        "You are web shopping.",
        r"An action should be of the following structure:\nsearch\[keywords\]\nclick\[value\]\n"
        r"|\nYour response should use the following format:.*",
        errors=r"^Invalid action",
    ),
    "alfworld": Environment(
        thought_and_action(ALFWORLD, "THOUGHT: ", "\n ACTION: "),
        "Interact with a household to solve a task",
        stretch(r' You should choose from two actions: "THOUGHT" or "ACTION"\.', "(?= After your each turn)"),
        errors=r"^Nothing happen",
    ),
}


def inline(environment: Environment) -> Environment:
    """The same with "Thought: ...\\nAction: ...", as ETO writes it."""
    return replace(environment, dialect=thought_and_action(environment.dialect.grammar, "Thought: ", "\nAction: "))
