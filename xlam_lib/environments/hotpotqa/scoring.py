"""Exact match and F1 of short answers, by HotpotQA's official rule (notebook 05).

The rule is that of hotpot_evaluate_v1.py (https://github.com/hotpotqa/hotpot), which ReAct, Reflexion and BOLAA took
over: SQuAD's, and an answer of yes, no or "noanswer" shares nothing with any other answer. AgentLite leaves that last
part out, and calls "accuracy" that an answer is right to the letter.

    exact_match("The  Beatles.", "beatles")        # True
    f1_score("Robert Smith of The Cure", "Robert Smith")        # 0.666...: precision 2 of 4, recall 2 of 2
"""

from __future__ import annotations

import re
import string
from collections import Counter

ENGLISH_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII only, as the original has it
CLOSED = ("yes", "no", "noanswer")


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation, articles and spare space: "An  Apple-pie!" -> "applepie"."""
    return " ".join(ENGLISH_ARTICLES.sub(" ", text.lower().translate(NO_PUNCTUATION)).split())


def exact_match(predicted: str, expected: str) -> bool:
    """Whether two answers are the same once normalised: `exact_match("the Who", "Who?")` -> True."""
    return normalize_answer(predicted) == normalize_answer(expected)


def f1_score(predicted: str, expected: str) -> float:
    """Harmonic mean of the shares of words that two answers have in common, 0.0 to 1.0: ("a b c", "b c d") -> 0.8.

    There "a" is an article, so two words of two and two of three are shared. Nothing shared is 0.0, also where nothing
    is left of both answers ("the" and "a"), though these match exactly.
    """
    answers = normalize_answer(predicted), normalize_answer(expected)
    if answers[0] != answers[1] and any(answer in CLOSED for answer in answers):
        return 0.0
    words = [answer.split() for answer in answers]
    shared = (Counter(words[0]) & Counter(words[1])).total()
    return 2 * shared / (len(words[0]) + len(words[1])) if shared else 0.0
