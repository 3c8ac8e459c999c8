"""Turns wrapped in words: which mark of an action counts, and that a turn comes back as it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.formats.code_tags import MINT
from xlam_lib.data.formats.turn_layouts import TRIED
from xlam_lib.data.sources.agents.agentbench import WORDS
from xlam_lib.data.sources.agents.agentinstruct_grammars import ENVIRONMENTS

OS, DB, KG = (ENVIRONMENTS[name].dialect for name in ("os", "db", "kg"))
DIALECTS = {"mint": MINT, "words": WORDS, **{name: one.dialect for name, one in ENVIRONMENTS.items()}}
LABELS = "Think: Thought: Act: Action: ACTION: THOUGHT: Answer: finish answer( ) , bash get_neighbors( search[x] look a"
TAGS = "<thought> </thought> <execute> </execute> <solution> </solution> Operation"
PIECES = st.sampled_from([*LABELS.split(), *TAGS.split(), "Final Answer:", " ", "\n", "```bash\n", "\n```", "```sql\n"])


def parts(turn):
    return turn and (turn.thought, turn.name, turn.arguments)


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (OS, "Think: Count.\n\nAct: finish", ("Count.", "finish", {})),
        (OS, "Act: answer(4)", ("", "answer", {"answer": "4"})),
        (OS, "Think: Act: is next.\n\nAct: answer(4)", ("Act: is next.", "answer", {"answer": "4"})),
        (OS, "Think: Hm.\n\nAct: answer(4", None),
        (DB, "Look.\nAction: Operation\n```sql\n  SELECT 1  \n```\n", ("Look.", "execute_sql", {"query": "SELECT 1"})),
        (DB, "Action: Operation\n```sql\n\n```", ("", "execute_sql", {"query": "sql"})),
        (
            KG,
            "Thought: Look.\nAction: get_neighbors( #0 ,  a.b )\nObservation",
            ("Look.", "get_neighbors", {"variable": "#0", "relation": "a.b"}),
        ),
        (
            MINT,
            "<thought> A sum. </thought>\n<execute>\n1 + 1\n</execute>",
            ("A sum.", "execute_python", {"code": "1 + 1"}),
        ),
        (
            MINT,
            "<thought>Done.</thought> The answer is <solution> 2 </solution>.",
            ("Done.", "propose_solution", {"solution": "2"}),
        ),
        (MINT, "<solution> </solution>", None),
        (
            WORDS,
            "THOUGHT: The desk first.\nThen the lamp.\n ACTION: look",
            ("The desk first.\nThen the lamp.", "look", {}),
        ),
        (WORDS, "look\n", ("", "look", {})),
    ],
)
def test_what_a_turn_says(dialect, text, expected):
    turn = dialect.parse(text)
    assert parts(turn) == expected
    assert turn is None or dialect.render(turn) == text


def test_a_mark_may_stand_within_a_thought_but_not_any_number_of_them():
    said = "Act: finish it. "
    assert parts(OS.parse(f"Think: Well. {said * (TRIED - 1)}\nAct: finish"))[1] == "finish"
    assert OS.parse(f"Think: Well. {said * TRIED}\nAct: finish") is None


@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(sorted(DIALECTS)))
def test_every_turn_comes_back_as_it_was_written(text, name):
    turn = DIALECTS[name].parse(text)
    assert turn is None or DIALECTS[name].render(turn) == text
