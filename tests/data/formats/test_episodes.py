"""The words of text-driven environments, and their episodes as steps and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.environments import ALFWORLD, THINK_BRACKETS, THINK_COLON, WEBSHOP, WIKI, task_name
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions, parse_loosely
from xlam_lib.data.formats.transcripts import labelled_turns, prompted_turns
from xlam_lib.trajectory import Source, Trajectory


@pytest.mark.parametrize(
    ("grammar", "text", "call"),
    [
        (WEBSHOP, "search[red [led] lamp]", ("search", {"keywords": "red [led] lamp"})),
        (WEBSHOP, "click[< Prev]", ("click", {"element": "< Prev"})),
        (WIKI, "Search[Rome]", ("Search", {"entity": "Rome"})),
        (WIKI, "Lookup[founded]", ("Lookup", {"keyword": "founded"})),
        (WIKI, "Finish[NOT ENOUGH INFO]", ("Finish", {"answer": "NOT ENOUGH INFO"})),
        (ALFWORLD, "go to drawer 1", ("go_to", {"receptacle": "drawer 1"})),
        (ALFWORLD, "take mug 1 from desk 2", ("take", {"object": "mug 1", "receptacle": "desk 2"})),
        (ALFWORLD, "put mug 1 in/on desk 2", ("put", {"object": "mug 1", "receptacle": "desk 2"})),
        (ALFWORLD, "move mug 1 to desk 2", ("move", {"object": "mug 1", "receptacle": "desk 2"})),
        (ALFWORLD, "open fridge 1", ("open", {"receptacle": "fridge 1"})),
        (ALFWORLD, "close fridge 1", ("close", {"receptacle": "fridge 1"})),
        (ALFWORLD, "use desklamp 1", ("use", {"object": "desklamp 1"})),
        (ALFWORLD, "heat egg 1 with microwave 1", ("heat", {"object": "egg 1", "receptacle": "microwave 1"})),
        (ALFWORLD, "cool egg 1 with fridge 1", ("cool", {"object": "egg 1", "receptacle": "fridge 1"})),
        (ALFWORLD, "clean egg 1 with sinkbasin 1", ("clean", {"object": "egg 1", "receptacle": "sinkbasin 1"})),
        (ALFWORLD, "slice egg 1 with knife 1", ("slice", {"object": "egg 1", "receptacle": "knife 1"})),
        (ALFWORLD, "examine mug 1", ("examine", {"target": "mug 1"})),
        (ALFWORLD, "look", ("look", {})),
        (ALFWORLD, "inventory", ("inventory", {})),
        (ALFWORLD, "put mug 1 on desk 2", None),
        (WEBSHOP, "exit[quit]", None),
        (WIKI, "Search[Rome", None),
    ],
)
def test_words(grammar, text, call):
    assert grammar.parse(text) == call
    if call:
        assert grammar.render(*call) == text


def test_liberties_that_environments_take():
    assert parse_loosely(WIKI, " search[Rome]\n") == ("Search", {"entity": "Rome"})
    assert parse_loosely(WEBSHOP, "Click[Buy Now] ") == ("click", {"element": "Buy Now"})
    assert parse_loosely(ALFWORLD, "walk to desk 1") is None


def test_a_task_has_one_name_however_it_is_spaced():
    assert (
        task_name("webshop", "a red  lamp\n") == task_name("webshop", "a red lamp") != task_name("wiki", "a red lamp")
    )


def trajectory(episode: Episode, grammar) -> Trajectory:
    steps = episode.finish()
    t = Trajectory("x/1", Source("x", "MIT"), tools=grammar.tools(), steps=steps, extra={NOTES: episode.notes})
    t.validate()
    return t


def test_thoughts_calls_and_malformed_texts():
    episode = Episode(WEBSHOP, THINK_BRACKETS, ("Invalid action!",))
    episode.user("i need a red lamp")
    exchanges = [
        ("think[one]", "OK."),
        ("think[two]", "OK."),
        ("search[lamp]", "a page"),
        ("think[cut off", "OK."),
        ("click[Fly]", "Invalid action!"),
        ("exit[quit]", "Invalid action!"),
        ("", "Invalid action!"),
        ("think[not taken as one]", "Invalid action!"),
        ("Click[Buy Now]", "Your score"),
        ("think[the end]", "OK."),
    ]
    for action, observation in exchanges:
        episode.act(action, observation)
    t = trajectory(episode, WEBSHOP)
    assert native_actions(t, WEBSHOP, THINK_BRACKETS) == [action for action, _ in exchanges]
    assert [step.role[0] for step in t.steps] == list("uatatauuauata")
    assert (t.steps[1].reasoning, t.steps[1].reasoning_origin) == ("one\ntwo", "native")
    assert t.steps[3].reasoning == "cut off" and t.steps[4].is_error
    assert (t.steps[5].content, t.steps[5].trainable) == ("exit[quit]", False)
    assert t.steps[-1].reasoning == "the end" and not t.steps[-1].tool_calls
    assert set(t.extra[NOTES]) == {"3", "7", "10"}  # a cut thought, an empty action, a spelling


def test_several_calls_in_one_turn_and_an_open_end():
    episode = Episode(ALFWORLD, THINK_COLON)
    episode.user("put a mug in desk")
    episode.turn([("go to desk 1", "nothing"), ("look", "a room")], "I look around.")
    episode.act("use lamp 1", None)
    t = trajectory(episode, ALFWORLD)
    assert [call.id for step in t.steps for call in step.tool_calls] == ["call_0", "call_1", "call_2"]
    with pytest.raises(Drop, match="call without a result"):
        episode.act("look", "a room")


@given(
    st.lists(
        st.tuples(st.sampled_from(["think[{}]", "think[{}", "search[{}]", "click[{}]", "{}"]), st.text(max_size=9))
    )
)
def test_any_episode_gives_its_actions_back(pairs):
    episode = Episode(WEBSHOP, THINK_BRACKETS)
    episode.user("a task")
    actions = [template.format(text) for template, text in pairs]
    for action in actions:
        episode.act(action, "OK.")
    assert native_actions(trajectory_of(episode), WEBSHOP, THINK_BRACKETS) == actions


def trajectory_of(episode: Episode) -> Trajectory:
    return Trajectory("x/1", Source("x", "MIT"), steps=episode.finish(), extra={NOTES: episode.notes})


def test_labelled_turns():
    head, turns = labelled_turns(
        "Q\nThought 1: a\nb\nAction 1: Search[x]\nObservation 1: Action: no\nAction 2: Finish[y]\n"
    )
    assert (head, [(t.thought, t.action, t.observation) for t in turns]) == (
        "Q\n",
        [("a\nb", "Search[x]", "Action: no"), ("", "Finish[y]", None)],
    )
    assert [turn.first for turn in turns] == [True, False]
    assert labelled_turns("nothing") == ("nothing", [])
    assert [t.action for t in labelled_turns("Action: a\nObservation: 1\n\nAction: b")[1]] == ["a", "b"]


def test_prompted_turns():
    head, turns, tight = prompted_turns("room\n> think: a\nOK.\n>go to desk 1\n\n> look")
    assert (head, tight) == ("room\n", [1])
    assert [(t.action, t.observation) for t in turns] == [("think: a", "OK."), ("go to desk 1", ""), ("look", None)]
    assert prompted_turns("room") == ("room", [], [])
