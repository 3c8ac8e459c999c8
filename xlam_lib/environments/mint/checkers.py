"""Whether a proposed solution is right: by MINT's own rules, or by stricter ones.

    is_right(Problem("gsm8k/1", "gsm8k", "...", "80"), "81", python)                # False
    is_right(Problem("gsm8k/1", "gsm8k", "...", "80"), "81", python, strict=False)  # True: within 5 %

Used by `environment.py` and `bench/tasks/mint.py` (notebook 05). MINT's rules (its mint/tasks/reasoning.py and
codegen.py) are needed to stand beside published numbers, but they take much for right: numbers 5 % off, and any text
in which the reference occurs, so that "B) The central states" is right where "a" was asked for. The strict rules, of
training and of our own problems, want one number, one option, or the same words. Text of a model is never run in this
process: where the original evaluates it as Python, only arithmetic is read here, and code with its tests runs in a
session of the confined interpreter.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import secrets
import string
from collections.abc import Callable
from typing import Any

from xlam_lib.data.apigen.sandbox import Interpreter
from xlam_lib.environments.mint.problems import CODE, FAMILIES, Problem

__all__ = ["FAMILIES", "is_right"]

LONGEST = 10_000  # characters of an answer in words; what is longer is none
LONGEST_VALUE = 300  # characters of arithmetic
NEAR, NEAR_VALUE, NEAR_STRICT = 0.05, 0.04, 0.01  # shares of the reference: MINT's, TheoremQA's, ours
DIGITS = r"(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+(?: ?/ ?\d++)?+"
NUMBER = re.compile(rf"[-+]?(?:\d{{1,3}}+(?:,\d{{3}})++(?!\d)(?:\.\d++)?+|{DIGITS})")  # 1,234.5 too
ITEM = re.compile(rf"[-+]?{DIGITS}")  # in a list, where a comma parts two numbers
LETTER = re.compile(r"(?:the answer is |answer: |option )?[(\[]?([a-z])(?: ?[)\].:]|\Z)")
ARTICLES = re.compile(r"\b(?:a|an|the)\b")
MEASURE = r"([-+]?(?:\d[\d,]*+(?:\.\d++)?+|\.\d++))"  # a number with a unit
UNIT_BEHIND = re.compile(rf"{MEASURE}(?: [^0-9 ]++|[^\d]{{1,2}})")
UNIT_BEFORE = re.compile(rf"(?:[^0-9 ]++ |[^-+\d]{{1,2}}){MEASURE}")
OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: math.pow, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip


def is_right(problem: Problem, answer: str, python: Interpreter, strict: bool = True) -> bool:
    """Whether an answer solves a problem; code is run with its tests in a new session of `python`."""
    if problem.family in CODE:
        return _passes(problem, answer, python)
    if len(answer) > LONGEST:
        return False
    reference, text = problem.reference, answer.strip().lower()
    if strict:
        if problem.family == "mmlu":
            return _chosen(problem, text) == str(reference).strip().lower()
        return _words(reference) == _words(text) if problem.family == "hotpotqa" else _is_value(reference, text)
    if problem.family == "theoremqa":
        return _is_near_value(reference, value_of(answer))
    reference = str(reference).strip().lower()
    return _holds_choice(problem, reference, text) if problem.family == "mmlu" else _near_or_in(reference, text)


def _passes(problem: Problem, answer: str, python: Interpreter) -> bool:
    """Whether the tests run to their end, or all cases give the result.

    Results of cases are compared here and never enter the child. Tests that are Python do, so a program made to cheat
    may still look for them; a word that is new each time shows that they came to their end, whatever was printed.
    """
    session = python.session()
    try:
        session.run(answer)
        if isinstance(problem.reference, str):
            word = secrets.token_hex(8)
            return session.run(f"{problem.reference}\nprint({word!r})").endswith(f"{word}\n")
        arguments, results = zip(*problem.reference, strict=True)
        printed = session.run(f"print('', repr([{problem.entry}(*_) for _ in {list(arguments)!r}]), sep='\\n')")
        return printed.rstrip("\n").rpartition("\n")[2] == repr(list(results))
    finally:
        session.close()


def numbers_of(text: str, in_list: bool = False) -> list[float]:
    """The numbers in a text: "about $1,200 or 3/4" -> [1200.0, 0.75]."""
    found = []
    for number in (ITEM if in_list else NUMBER).findall(text):
        above, _, below = number.replace(",", "").partition("/")
        found.append(float(above) / float(below) if below and float(below) else float(above))
    return found


def _is_value(reference: Any, text: str) -> bool:
    """Strictly: True or False, an option, all numbers of a list in order, or the one number."""
    if isinstance(reference, str):
        try:
            reference = float(reference)
        except ValueError:
            found = LETTER.match(text)
            return bool(found) and found[1] == reference.strip("() ").lower()
    if isinstance(reference, bool):
        return text.rstrip(".") in (("true", "yes") if reference else ("false", "no"))
    expected = reference if isinstance(reference, list) else [reference]
    found = numbers_of(text, in_list=isinstance(reference, list))
    return len(found) == len(expected) and all(map(_same_number, expected, found))


def _same_number(expected: float, found: float) -> bool:
    """Whole numbers are the same or not, others may be 1 % off."""
    near = 1e-9 if float(expected).is_integer() else NEAR_STRICT
    return abs(found - expected) <= near * abs(expected)


def _words(text: Any) -> list[str]:
    """Words without articles and punctuation, as SQuAD's exact match has it: "The French-Canadians." -> [...]."""
    return ARTICLES.sub(" ", str(text).lower().translate(str.maketrans("", "", string.punctuation))).split()


def _chosen(problem: Problem, text: str) -> str:
    """The letter of the one option that a text names by its letter or by its words; "" where it names none."""
    if found := LETTER.match(text):
        return found[1]
    named = [letter for letter, option in problem.options.items() if _words(option) == _words(text)]
    return named[0] if len(named) == 1 else ""


def _near_or_in(reference: str, text: str) -> bool:
    """MINT's rule: two numbers that are near each other, or else a text that holds the reference."""
    try:
        expected, found = float(reference), float(text)
    except ValueError:
        return reference in text
    return abs(expected - found) <= NEAR * abs(expected)


def _holds_choice(problem: Problem, reference: str, text: str) -> bool:
    """MINT's rule for a multiple choice: the letter anywhere in the text, or the words of no other option.

    Only "a)" is read as a letter, all else stays text. Words of an option end at its first bracket.
    """
    text = "a" if "a)" in text or "a )" in text else text
    if reference in text:
        return True
    options = {letter: option.partition(")")[0].strip().lower() for letter, option in problem.options.items()}
    expected = options.get(reference, reference)
    others = [option for option in options.values() if option not in expected]
    return not any(_digits_or_in(option, text) for option in others) and _digits_or_in(expected, text)


def _digits_or_in(option: str, text: str) -> bool:
    if option.isdecimal() and text.isdecimal():
        return abs(float(option) - float(text)) <= NEAR * float(option)
    return option in text


def value_of(text: str) -> Any:
    """What TheoremQA's rules read in an answer: "x = 5.7 m" -> 5.7, "[1, 2]" -> [1, 2], "True" -> True, else None."""
    text = re.split("[=≈]", text)[-1].strip().translate(str.maketrans("", "", "`$°"))
    if "True" in text or "False" in text or text in ("true", "yes", "false", "no"):
        return "True" in text or text in ("true", "yes")
    text = text.replace("approximately", "").strip().partition(" or ")[0]
    if len(text) > LONGEST_VALUE:
        return None
    for option in "abcd":
        if f"{option})" in text or f"{option} )" in text or text.lower() == option:
            return f"({option})"
    if found := UNIT_BEHIND.fullmatch(text) or UNIT_BEFORE.fullmatch(text):
        text = found[1]
    if NUMBER.fullmatch(text):
        text = text.replace(",", "")
    try:
        return _computed(ast.parse(text.replace(" x ", "*").replace(" × ", "*") or "0", mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, TypeError, RecursionError, MemoryError):
        return None


def _computed(node: ast.expr) -> Any:
    """A number, a list of numbers, or what arithmetic makes of them; a ValueError for all other Python."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [_computed(element) for element in node.elts]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_number(node.left), _number(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_number(node.operand))
    raise ValueError(f"{type(node).__name__} is no arithmetic")


def _number(node: ast.expr) -> float:
    if isinstance(value := _computed(node), list):
        raise ValueError("a list is no number")
    return value


def _is_near_value(reference: Any, value: Any) -> bool:
    """TheoremQA's rule: the same truth value or option, floats within 4 %, whole numbers rounded, lists sorted."""
    if isinstance(reference, (bool, str)):
        return value in (reference, f"({reference})")
    if isinstance(reference, list):
        if not isinstance(value, list) or len(value) != len(reference) or any(isinstance(v, list) for v in value):
            return False
        return all(map(_is_near_number, sorted(reference), sorted(value)))
    return _is_near_number(reference, value)


def _is_near_number(reference: float, value: Any) -> bool:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    if isinstance(reference, float):
        return abs(value - reference) <= NEAR_VALUE * abs(reference)
    return round(value) == reference
