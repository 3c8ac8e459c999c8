"""HotpotQA as agents play it: questions of two hops, answered by searching an encyclopedia (notebook 05).

`environment.py` has the environment, with the three actions of ReAct; `articles.py` the encyclopedia on this machine
and the page that is open, `wikipedia.py` the live one; `questions.py` reads the original's files; `scoring.py` is the
official exact match and F1; `manual.py` explains it all to a model. Without files of the original there are 60
questions of ours on 81 short articles about a country that doesn't exist, so that nobody knows the answers by heart:

    game = HotpotQA()                                        # the embedded questions and articles
    run(rollout(agent, game, game.questions["hard-03"].task, max_steps=10)).outcome.reward        # F1, 0.0 to 1.0
    HotpotQA(read_questions("hotpot_dev_distractor_v1.json"))                        # searches their own paragraphs
    HotpotQA(read_questions("bolaa_easy.jsonl"), Wikipedia(httpx.Client(headers={"User-Agent": "..."})))
"""

from xlam_lib.environments.hotpotqa.articles import Article, Corpus, Page, read_articles
from xlam_lib.environments.hotpotqa.environment import HotpotQA, answer_of
from xlam_lib.environments.hotpotqa.questions import HotpotError, Question, embedded, read_questions
from xlam_lib.environments.hotpotqa.scoring import exact_match, f1_score, normalize_answer
from xlam_lib.environments.hotpotqa.wikipedia import Wikipedia

__all__ = [
    "Article",
    "Corpus",
    "HotpotError",
    "HotpotQA",
    "Page",
    "Question",
    "Wikipedia",
    "answer_of",
    "embedded",
    "exact_match",
    "f1_score",
    "normalize_answer",
    "read_articles",
    "read_questions",
]
