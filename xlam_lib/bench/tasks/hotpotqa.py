"""HotpotQA as a benchmark of agents: F1 and exact match of answers that are found by searching (notebook 05).

    task = HotpotQATask()                                        # the 36 embedded test questions; split="train" has 24
    task = HotpotQATask(path="hotpot_dev_distractor_v1.json")    # or the original's: their own paragraphs are searched
    item = task.items()[0]
    episode = run(rollout(agent, task.environment(item), item.task, task.max_steps))
    task.score(item, episode)       # {"kind": "easy", "reward": 0.8, "em": False, "accuracy": False, "failure": ...}

BOLAA publishes the mean of the reward, AgentLite F1 and accuracy of each level, which `result.by_kind()` gives. Both
ask the same 3 x 100 questions and search the whole Wikipedia; with other questions, or few articles, it's another test.
AgentLite counts F1 without the rule for yes and no, so that "yes it is" has something of "yes" there, and nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from xlam_lib.agents.base import Action, Observation
from xlam_lib.bench.base import Figure, Row, Task, TaskError
from xlam_lib.environments.hotpotqa.articles import SHOWN, Article, Corpus, Wiki, read_articles
from xlam_lib.environments.hotpotqa.environment import SLOTS, HotpotQA, answer_of, argument_of
from xlam_lib.environments.hotpotqa.questions import LEVELS, Question, corpus_of, embedded, read_questions
from xlam_lib.environments.hotpotqa.scoring import exact_match, f1_score, normalize_answer
from xlam_lib.schema import Step, ToolCall
from xlam_lib.trajectory import Trajectory

NO_ANSWERS = {"", "unknown", "none", "na", "not found", "noanswer", "no answer", "i dont know", "cannot find answer"}
REPEATS = 3  # the same action with the same result so often in the end is a loop


class HotpotQATask(Task):
    """The embedded questions of a split, or those of a file (or several), of some levels or all."""

    name, title = "hotpotqa", "HotpotQA"
    metric = (
        "Reward: F1 of the answer's words by HotpotQA's official rule, 0 without an answer. EM, which is success: the "
        "same answer without case, punctuation and articles. Accuracy: the same to the letter, as AgentLite has it."
    )
    differs = (
        "questions and articles are embedded, about an invented country, unless the original's files are given; "
        "similar titles come from groups of letters, sentences are cut as the corpus has them"
    )
    scores = ("reward", "em", "accuracy")
    figures = (
        Figure("hotpotqa.reward", "05_benchmarking", "HotpotQA, average reward (F1)", floor=0.0, aim=0.5),
        Figure("hotpotqa.em", "05_benchmarking"),
    )
    published = ("hotpotqa_bolaa", "hotpotqa_agentlite")
    max_steps: ClassVar[int] = 10  # actions of an agent, as in BOLAA

    def __init__(
        self,
        split: str = "test",
        path: str | Path | Sequence[str | Path] | None = None,
        wiki: Wiki | str | Path | None = None,
        levels: Iterable[str] = LEVELS,
    ) -> None:
        """`wiki` is what is searched, or a file of articles: by default the questions' own paragraphs."""
        self.levels = tuple(levels)
        if path is None:
            known, articles = embedded()
            questions = [question for question in known if question.split == split]
        else:
            files = [path] if isinstance(path, str | Path) else path
            questions, articles = [question for file in files for question in read_questions(file)], None
        self.questions = [question for question in questions if not question.level or question.level in self.levels]
        if not self.questions:
            raise TaskError(f"hotpotqa: no question of split {split!r} and levels {', '.join(self.levels)}")
        if wiki is None:
            wiki = articles or corpus_of(self.questions)
        self.wiki = Corpus(read_articles(wiki)) if isinstance(wiki, str | Path) else wiki

    def items(self) -> Sequence[Question]:
        """The questions in their order."""
        return self.questions

    def environment(self, item: Question) -> HotpotQA:
        """The environment that asks this question, anew for each episode."""
        return HotpotQA([item], self.wiki)

    def expert(self, item: Question) -> Expert:
        """An agent that opens the articles of the supporting facts, reads them there, and gives the right answer."""
        return Expert(solution(item, self.wiki))

    def score(self, item: Question, answer: Trajectory, cut_off: bool = False) -> Row:
        """The row of an episode; only its first `Finish` counts."""
        found = answer_of(answer.steps)
        right = found is not None and exact_match(found, item.answer)
        return {
            "kind": item.level or item.type or "question",
            "type": item.type,
            "reward": 0.0 if found is None else f1_score(found, item.answer),
            "em": right,
            "accuracy": found == item.answer,
            "success": right,
            "failure": "" if right else failure_of(answer.steps, found),
            "answer": found,
            "expected": item.answer,
            "actions": sum(step.role == "assistant" for step in answer.steps),
        }


class Expert:
    """Plays given actions: `Expert([Action.call("Search", entity="Oslo"), Action.call("Finish", answer="Oslo")])`."""

    name = "expert"

    def __init__(self, actions: Iterable[Action]) -> None:
        self.actions = tuple(actions)

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next of its actions."""
        return self.actions[sum(step.role == "assistant" for step in history)]


def solution(item: Question, wiki: Wiki) -> list[Action]:
    """The actions that solve a question, with thoughts; facts behind the first five sentences are looked up."""
    actions, read = [], ""
    for title in dict.fromkeys(title for title, _ in item.facts):
        found = wiki.find(title) if isinstance(wiki, Corpus) else ()
        article = found if isinstance(found, Article) else Article(title, ())
        actions.append(_action(f"{read} I need to search {title}.", "Search", title))
        read = ""
        for number in sorted({number for name, number in item.facts if name == title}):
            if number < len(article.sentences):  # some facts of the original name a sentence that isn't there
                if number >= SHOWN:
                    keyword = keyword_of(article, number, item.question)
                    actions.append(_action(f"{read} I look up {keyword!r} further down.", "Lookup", keyword))
                    read = ""
                read = f"{read} {article.sentences[number]}"
    return [*actions, _action(f"{read} So the answer is {item.answer}.", "Finish", item.answer)]


def _action(thought: str, name: str, argument: str) -> Action:
    return Action(tool_calls=(ToolCall(name, {SLOTS[name]: argument}),), reasoning=thought.strip())


def keyword_of(article: Article, number: int, question: str = "") -> str:
    """A word by which looking up leads to a sentence at once, for no sentence before has it: one of the question's, or
    else the longest; the whole sentence where there is no such word.
    """
    before, asked = " ".join(article.sentences[:number]).lower(), set(_words(question.lower()))
    words = [word for word in _words(article.sentences[number]) if word and word.lower() not in before]
    return max(words, key=lambda word: (word.lower() in asked, len(word)), default=article.sentences[number])


def _words(text: str) -> list[str]:
    return [word.strip('.,;:!?()"') for word in text.split()]


def failure_of(steps: Sequence[Step], answer: str | None) -> str:
    """Why an episode didn't succeed: "wrong_answer", or "gave_up" where it answers that it doesn't know.

    Without an answer the last action says why: words alone ("bad_format"), another tool ("wrong_function"), arguments
    that no action has ("wrong_argument"), the same with the same result for the third time ("loop"), else "max_steps".
    """
    if answer is not None:
        return "gave_up" if normalize_answer(answer) in NO_ANSWERS else "wrong_answer"
    turns = [step for step in steps if step.role == "assistant"]
    if not turns or not turns[-1].tool_calls:
        return "bad_format"
    calls = [call for turn in turns for call in turn.tool_calls]
    if calls[-1].name not in SLOTS:
        return "wrong_function"
    if argument_of(calls[-1]) is None:
        return "wrong_argument"
    results = {step.tool_call_id: step.content for step in steps if step.role == "tool"}
    last = [(call.name, call.arguments, results.get(call.id)) for call in calls[-REPEATS:]]
    return "loop" if len(last) == REPEATS and all(one == last[0] for one in last) else "max_steps"


TASK = HotpotQATask
