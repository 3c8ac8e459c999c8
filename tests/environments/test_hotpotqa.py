"""HotpotQA's environment: what its actions answer, the official scores, files, and Wikipedia's own interface."""

import json
import random
import string
import threading
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.data.metrics import squad_metrics

from xlam_lib.agents import Action, InfrastructureError, rollout, run
from xlam_lib.environments.hotpotqa import (
    Article,
    Corpus,
    HotpotError,
    HotpotQA,
    Question,
    Wikipedia,
    embedded,
    exact_match,
    f1_score,
    normalize_answer,
    read_articles,
    read_questions,
)
from xlam_lib.environments.hotpotqa.environment import INVALID, OVER
from xlam_lib.environments.hotpotqa.wikipedia import sentences_of
from xlam_lib.schema import Task, ToolCall

VERSES = tuple(
    f"Verse {number} is about {animal}." for number, animal in enumerate("cats dogs Cats owls elks Cats".split())
)
WIKI = Corpus(
    [Article("Song of Beasts", VERSES), Article("Song of Stones", ("It is short.",)), Article("Otto Ravn", ())]
)
ASKED = Question("q", "Who wrote it?", "Otto Ravn")


def played(*actions, wiki=WIKI, asked=ASKED):
    """What the environment answers to some actions: texts, and the last StepResult."""
    game = HotpotQA([asked], wiki)
    game.reset(asked.task)
    results = [run(game.step(action)) for action in actions]
    return [step.content for result in results for step in result.observation.steps], results[-1]


def search(title):
    return Action.call("Search", entity=title)


def lookup(words):
    return Action.call("Lookup", keyword=words)


def finish(answer):
    return Action.call("Finish", answer=answer)


# scores


@pytest.mark.parametrize(
    ("predicted", "expected", "em", "f1"),
    [  # worked out by hand by the rule of hotpot_evaluate_v1.py
        ("The  Beatles.", "beatles", True, 1.0),
        ("Robert Smith of The Cure", "Robert Smith", False, 2 / 3),
        ("an Apple-pie!", "applepie", True, 1.0),
        ("yes", "Yes.", True, 1.0),
        ("yes it is", "yes", False, 0.0),
        ("no", "no one", False, 0.0),
        ("noanswer", "the answer", False, 0.0),
        ("1,800 to 7,000 ft", "1800 to 7000 feet", False, 0.75),
        ("la la", "la", False, 2 / 3),
        ("“Delhi”", "Delhi", False, 0.0),  # only ASCII punctuation goes
        ("the", "a", True, 0.0),  # nothing is left of either
        ("", "Delhi", False, 0.0),
    ],
)
def test_the_official_scores(predicted, expected, em, f1):
    assert exact_match(predicted, expected) is em and f1_score(predicted, expected) == pytest.approx(f1)


WORDS = st.lists(st.sampled_from("a an the yes no cats Cats dogs 1,5 noanswer x-y . , été".split()), max_size=6)


@given(WORDS, WORDS, st.randoms())
def test_properties_of_the_scores(first, second, rng):
    one, other = " ".join(first), " ".join(second)
    f1 = f1_score(one, other)
    assert 0.0 <= f1 <= 1.0 and f1 == f1_score(other, one)
    assert normalize_answer(normalize_answer(one)) == normalize_answer(one)
    if exact_match(one, other):
        assert f1 == (1.0 if normalize_answer(one) else 0.0)
    rng.shuffle(first)
    assert f1_score(" ".join(first), other) == f1


@given(WORDS, WORDS)
def test_the_scores_are_those_of_squad_where_no_answer_is_yes_or_no(first, second):
    one, other = " ".join(first), " ".join(second)
    normalised = normalize_answer(one), normalize_answer(other)
    assert normalised == (squad_metrics.normalize_answer(one), squad_metrics.normalize_answer(other))
    assert exact_match(one, other) == squad_metrics.compute_exact(other, one)
    if not set(normalised) & {"yes", "no", "noanswer", ""}:
        assert f1_score(one, other) == pytest.approx(squad_metrics.compute_f1(other, one))


TEXTS = st.text("aAnthe é’“.,-_\t\n0İſß字", max_size=20)


@given(TEXTS, TEXTS)
def test_any_text_is_scored(one, other):
    assert 0.0 <= f1_score(one, other) <= 1.0 and exact_match(one, one)
    assert not set(normalize_answer(one)) & set(string.punctuation)


# actions


def test_search_shows_the_first_five_sentences():
    texts, result = played(search("song of  BEASTS"))
    assert texts == [" ".join(VERSES[:5])] and not result.done and result.reward is None


def test_a_title_that_is_not_there_gets_similar_ones():
    texts, _ = played(search("Song"), search("Sogn of Stones"), search("xyz"))
    assert texts[0] == "Could not find Song. Similar: ['Song of Beasts', 'Song of Stones']."
    assert texts[1] == "Could not find Sogn of Stones. Similar: ['Song of Stones', 'Song of Beasts']."
    assert texts[2] == "Could not find xyz. Similar: []."


def test_lookup_goes_through_the_sentences_of_the_open_article():
    texts, _ = played(lookup("cats"), search("Song of Beasts"), lookup("cats"), lookup("cats"), lookup("owls"),
                      search("nowhere"), lookup("cats"), lookup("cats"), lookup("cats"), lookup("cats"))  # fmt: skip
    assert texts[0] == "No more results."
    assert texts[2:5] == [f"(Result 1 / 3) {VERSES[0]}", f"(Result 2 / 3) {VERSES[2]}", f"(Result 1 / 1) {VERSES[3]}"]
    assert texts[6:] == [f"(Result {n} / 3) {VERSES[v]}" for n, v in ((1, 0), (2, 2), (3, 5))] + ["No more results."]


def test_a_new_search_begins_the_look_up_anew():
    texts, _ = played(search("Song of Beasts"), lookup("cats"), search("Song of Beasts"), lookup("cats"))
    assert texts[1] == texts[3] == f"(Result 1 / 3) {VERSES[0]}"


@pytest.mark.parametrize(
    ("answer", "reward", "termination", "words"),
    [
        ("otto ravn.", 1.0, "success", "Answer is CORRECT"),
        ("Otto", 2 / 3, "failure", "Answer is INCORRECT"),
        ("Ada", 0.0, "failure", "Answer is INCORRECT"),
    ],
)
def test_finish_ends_the_episode(answer, reward, termination, words):
    texts, result = played(finish(answer))
    assert (texts, result.done, result.termination) == ([words], True, termination)
    assert result.reward == pytest.approx(reward)


def test_a_number_is_an_answer():
    asked = Question("q", "When?", "1865")
    assert played(finish(1865), asked=asked)[1].reward == 1.0
    assert played(finish(True), asked=asked)[0] == [INVALID]


@pytest.mark.parametrize(
    "action",
    [
        Action("Search for Oslo, please."),
        Action.call("search", entity="Oslo"),
        Action.call("Search"),
        Action.call("Search", keyword="Oslo"),
        Action.call("Search", entity="Oslo", page=2),
        Action.call("Finish", answer=None),
        Action.call("Finish", answer=["Otto Ravn"]),
        Action.call("Lookup", keyword={"a": 1}),
    ],
)
def test_what_is_no_action_is_said_so_and_the_episode_goes_on(action):
    texts, result = played(action)
    assert texts == [INVALID] and not result.done and result.reward is None


def test_calls_of_one_turn_are_answered_in_turn_and_none_after_the_answer():
    calls = (search("Otto Ravn"), finish("Otto"), finish("Otto Ravn"), lookup("x"))
    several = Action(tool_calls=tuple(ToolCall(c.tool_calls[0].name, c.tool_calls[0].arguments) for c in calls))
    texts, result = played(several)
    assert texts == ["", "Answer is INCORRECT", OVER, OVER] and result.reward == pytest.approx(2 / 3)
    after, again = played(finish("x"), search("Otto Ravn"))
    assert after[1] == OVER and again.done and again.reward is None


def test_an_unknown_task_is_refused():
    with pytest.raises(HotpotError, match="no question has the task id 'x/1'"):
        HotpotQA([ASKED], WIKI).reset(Task("?", "x/1"))
    with pytest.raises(HotpotError, match="call `reset` first"):
        run(HotpotQA([ASKED], WIKI).step(finish("x")))


@pytest.mark.parametrize("unit", ["a", "the ", "velde ", "é"])
def test_a_megabyte_is_answered_quickly(unit):
    text = unit * (1_000_000 // len(unit))
    begun = time.process_time()
    texts, result = played(search("Velde River"), search(text), lookup(text), finish(text), wiki=embedded()[1])
    assert time.process_time() - begun < 2.0
    assert result.done and result.reward == 0.0 and max(map(len, texts)) < 2000


# the embedded questions


def test_the_embedded_questions_hang_together():
    questions, corpus = embedded()
    assert Counter((one.split, one.level) for one in questions) == {
        (split, level): count for split, count in (("train", 8), ("test", 12)) for level in ("easy", "medium", "hard")
    }
    assert len({one.id for one in questions}) == len({one.question for one in questions}) == 60
    for one in questions:
        sentences = [corpus.articles[title].sentences[number] for title, number in one.facts]
        titles = list(dict.fromkeys(title for title, _ in one.facts))
        assert len(titles) == 2 and one.type in ("bridge", "comparison")
        if one.type == "bridge":  # the second article has the answer and is named by the first one
            assert one.answer.lower() in sentences[-1].lower(), one
            assert titles[1].split(" (")[0].lower() in " ".join(corpus.articles[titles[0]].sentences).lower(), one
        else:
            assert one.answer in ("yes", "no", *titles)
        if one.level != "hard":  # what is hard needs a look-up, or a title that two articles share
            assert all(number < 5 for _, number in one.facts)
        else:
            assert any(number >= 5 for _, number in one.facts) or "(" in "".join(titles)


def test_no_question_can_be_answered_from_one_article_of_its_two():
    questions, corpus = embedded()
    for one in questions:
        if one.type == "bridge":
            first = corpus.articles[one.facts[0][0]]
            assert one.answer.lower() not in " ".join(first.sentences).lower(), one


def test_the_manual_has_two_solved_questions_to_train_with():
    game = HotpotQA()
    given = game.manual
    asked = [example.steps[0].content for example in given.examples]
    assert {one.split for one in game.questions.values() if one.question in asked} == {"train"} and len(asked) == 2
    for example in given.examples:
        assert example.plan and all(step.reasoning for step in example.steps if step.role == "assistant")
        assert example.steps[-1].content == "Answer is CORRECT"
        task = next(one.task for one in game.questions.values() if one.question == example.steps[0].content)
        turns = [step for step in example.steps if step.role == "assistant"]
        script = [Action(tool_calls=turn.tool_calls, reasoning=turn.reasoning) for turn in turns]
        agent = type("Script", (), {"name": "script", "act": lambda *_, script=script: script.pop(0)})()
        steps = run(rollout(agent, game, task)).steps
        assert tuple(replace(step, reward=None) for step in steps) == example.steps  # as the environment answers
    names = {tool.name for tool in game.tools}
    assert {name for labour in given.labours.values() for name in labour} == names
    for call in (call for example in given.examples for step in example.steps for call in step.tool_calls):
        assert given.actions.parse(given.actions.render(call.name, call.arguments)) == (call.name, call.arguments)


def test_similar_titles_of_many_are_found_in_time():
    rng = random.Random(0)
    names = {" ".join(rng.choices(WORD_LIST, k=3)) for _ in range(5_000)}
    corpus = Corpus(Article(name, ()) for name in sorted(names))
    begun = time.process_time()
    wanted = sorted(names)[777]
    assert wanted in corpus.find(wanted[:-1] + "q") and corpus.find("of the " + wanted)
    assert time.process_time() - begun < 3.0


WORD_LIST = [a + b for a in "ka lo mi ne ru sta vel for".split() for b in "n r st lda mok wen tis ba".split()]


# files


def test_both_layouts_of_the_originals_files(tmp_path):
    pairs = {"_id": "a", "question": "Q?", "answer": "A", "type": "bridge", "level": "easy",
             "supporting_facts": [["T", 1]], "context": [["T", ["One. ", " Two."]], ["U", ["Three."]]]}  # fmt: skip
    table = pairs | {"id": "b", "supporting_facts": {"title": ["T"], "sent_id": [1]}}
    table |= {"context": {"title": ["T", "U"], "sentences": [["One. ", " Two."], ["Three."]]}}
    del table["_id"]
    (tmp_path / "dev.json").write_text(json.dumps([pairs, {"question": "Q?", "answer": "A"}]))
    (tmp_path / "bolaa.jsonl").write_text(json.dumps(table) + "\n")
    first, simple = read_questions(tmp_path / "dev.json")
    (second,) = read_questions(tmp_path / "bolaa.jsonl")
    assert (first.id, simple.id, second.id) == ("a", "2", "b") and first.task == simple.task == second.task
    assert first.facts == second.facts == (("T", 1),)
    assert first.context == second.context == (Article("T", ("One.", "Two.")), Article("U", ("Three.",)))
    texts, _ = played(search("t"), wiki=None, asked=first)
    assert texts == ["One. Two."]
    with pytest.raises(HotpotError, match="1 of 1 questions bring no paragraphs"):
        HotpotQA([simple])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"question": "Q?"}, "'answer' is 'None', expected a text"),
        ({"question": " ", "answer": "A"}, "'question' is ' '"),
        ({"question": "Q?", "answer": "A", "level": 3}, "'level' is '3'"),
        ({"question": "Q?", "answer": "A", "supporting_facts": [["T"]]}, "not a list of pairs"),
        ({"question": "Q?", "answer": "A", "supporting_facts": [["T", "1"]]}, "need numbers of sentences"),
        ({"question": "Q?", "answer": "A", "context": [["T", "One."]]}, "'T': expected a list of sentences"),
        ({"question": "Q?", "answer": "A", "context": {"title": ["T"], "sentences": []}}, "uneven columns"),
    ],
)
def test_a_broken_question_is_named(tmp_path, record, words):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "Q?", "answer": "A"}) + "\n" + json.dumps(record) + "\n")
    with pytest.raises(HotpotError, match=words) as error:
        read_questions(path)
    assert "q.jsonl:2" in str(error.value)


def test_a_line_that_is_no_json_is_an_error(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "Q?", "answer": "A"}\n{"question": \n')
    with pytest.raises(HotpotError, match="a record can't be read"):
        read_questions(tmp_path / "q.jsonl")


def test_articles_in_the_layout_of_the_originals_dumps(tmp_path):
    path = tmp_path / "wiki.jsonl"
    path.write_text('{"id": "12", "url": "u", "title": "Oslo", "text": ["Oslo is old.", " It is big."]}\n')
    assert read_articles(path) == [Article("Oslo", ("Oslo is old.", "It is big."))]
    with pytest.raises(HotpotError, match="two different articles are called 'Oslo'"):
        Corpus([*read_articles(path), Article("Oslo", ())])
    path.write_text('{"sentences": []}\n')
    with pytest.raises(HotpotError, match="an article needs a title"):
        read_articles(path)


# Wikipedia

EXTRACT = "Milhouse is a character. He was created by M. G.\n\n\nName\nMilhouse was named after R. Nixon. It is so.\n"
PAGES = {  # in the shape of MediaWiki's answers, formatversion 2
    "Milhouse": {"pageid": 1, "ns": 0, "title": "Milhouse Van Houten", "extract": EXTRACT},
    "High Plains": {"pageid": 2, "ns": 0, "title": "High Plains", "extract": "High Plains may refer to:",
                    "pageprops": {"disambiguation": ""}},
    "McDonald": {"pageid": 3, "ns": 0, "title": "McDonald", "extract": "One two three."},
}  # fmt: skip
HITS = {"High Plains": ["High Plains (United States)", "High Plains (album)"], "mcdonald": ["McDonald", "McDonald's"]}


@pytest.fixture
def mediawiki():
    """A server on this machine that answers as MediaWiki does; `status` and `body` may be set."""
    asked, broken = [], {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            given = {
                key: value[0] for key, value in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
            }
            asked.append(given)
            if "titles" in given:
                page = PAGES.get(given["titles"], {"ns": 0, "title": given["titles"], "missing": True})
                body = {"batchcomplete": True, "query": {"pages": [page]}}
                if given["titles"].startswith("fr:"):
                    body["query"] = {"interwiki": [{"title": given["titles"], "iw": "fr"}]}
            else:
                hits = [{"ns": 0, "title": title} for title in HITS.get(given["srsearch"], ())]
                body = {"batchcomplete": True, "query": {"search": hits}}
            data = broken.get("body", json.dumps(body)).encode()
            self.send_response(broken.get("status", 200))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with httpx.Client(headers={"User-Agent": "test/1.0"}, trust_env=False) as client:
        yield Wikipedia(client, f"http://127.0.0.1:{server.server_address[1]}/w/api.php"), asked, broken
    server.shutdown()
    server.server_close()


def test_wikipedia_is_searched_by_its_own_interface(mediawiki):
    wiki, asked, _ = mediawiki
    texts, _ = played(search("Milhouse"), lookup("named after"), search("High Plains"), search("mcdonald"),
                      search("no|such [page]"), search("|"), wiki=wiki)  # fmt: skip
    assert texts[0].startswith("Milhouse is a character. He was created by M. G. Milhouse was named after R.")
    assert texts[1] == "(Result 1 / 1) Milhouse was named after R."
    assert texts[2] == "Could not find High Plains. Similar: ['High Plains (United States)', 'High Plains (album)']."
    assert texts[3] == "One two three." and texts[4] == "Could not find no|such [page]. Similar: []."
    assert texts[5] == "Could not find |. Similar: []."
    assert asked[0]["titles"] == "Milhouse" and asked[0]["redirects"] == asked[0]["explaintext"] == "1"
    assert asked[-1]["srsearch"] == "no such page" and asked[-1]["srlimit"] == "5"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"status": 503}, "503"),
        ({"body": "<html>"}, "JSONDecodeError"),
        ({"body": '{"error": {"code": "maxlag", "info": "Waiting"}}'}, "maxlag"),
        ({"body": "[]"}, "TypeError"),
    ],
)
def test_a_wikipedia_that_fails_is_nobodys_wrong_answer(mediawiki, broken, words):
    wiki, _, state = mediawiki
    state |= broken
    with pytest.raises(InfrastructureError, match=words):
        played(search("Milhouse"), wiki=wiki)
    agent = type("Searcher", (), {"name": "searcher", "act": lambda *_: search("Milhouse")})()
    outcome = run(rollout(agent, HotpotQA([ASKED], wiki), ASKED.task)).outcome
    assert outcome.termination == "infra_error" and outcome.reward is None


def test_what_an_agent_searches_for_is_no_command(mediawiki):
    wiki, asked, _ = mediawiki
    texts, _ = played(search("fr:Oslo"), search("insource:/a.*b/ -c"), search("?!\ud800"), wiki=wiki)
    assert all("Similar: []." in text for text in texts)
    assert [given["srsearch"] for given in asked if "srsearch" in given] == ["fr Oslo", "insource a b c"]


def test_nobody_listens():
    with httpx.Client(trust_env=False) as client, pytest.raises(InfrastructureError, match="ConnectError"):
        played(search("Milhouse"), wiki=Wikipedia(client, "http://127.0.0.1:9/api.php"))


def test_sentences_without_headings():
    assert sentences_of("Oslo is old. It is big.\n\nName\nSee also\nOne two three") == (
        "Oslo is old.",
        "It is big.",
        "One two three",
    )
