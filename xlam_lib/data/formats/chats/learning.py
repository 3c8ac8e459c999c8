"""What fields say about learning: messages that aren't to be learnt from, rewards, how a record ended (notebook 01).

    is_trainable({"role": "assistant", "content": "Warm.", "loss_weight": 0.0}) -> False
    outcome_of({"messages": [...], "reward": 0.0, "resolved": False}) -> Outcome(success=False, reward=0.0)

A weight of nothing, false or "0" means that a message isn't to be learnt from, whatever the weight is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xlam_lib.data.formats.base import as_reward
from xlam_lib.trajectory import Outcome

WEIGHTS = ("weight", "loss_weight", "loss_scale", "loss", "loss_mask", "train", "trainable", "is_trainable")
MASKS = ("loss_mask", "loss_weight", "loss_weights", "weights", "train_mask", "train")  # of a record: one a message
OF_RECORD = ("weight", "loss_weight", "train", "trainable", "is_trainable")  # of a record: one for all messages
UNDESIRED = "label"  # KTO's, of the completion beside it
SUCCESS = ("success", "resolved", "is_resolved", "solved", "passed", "correct", "is_correct", "is_success")
REWARD = "reward"
ANSWERS = ("answer", "label", "labels", "score", "scores", "ground_truth", "solution", "reward", *SUCCESS)
WEIGHED, MASKING, SAYING = frozenset(WEIGHTS), frozenset((*MASKS, *OF_RECORD)), frozenset(ANSWERS)
NOTHING = Outcome()
NO, YES = frozenset(("0", "0.0", "false", "no", "off")), frozenset(("1", "1.0", "true", "yes", "on"))


def is_zero(value: Any) -> bool:
    """Whether a weight means "not at all": 0, 0.0, false and "0" do, `is_zero(None)` -> False."""
    if isinstance(value, list):  # one for each token or part: it can't be told which words they are
        return any(map(is_zero, value))
    if isinstance(value, str):
        return value.strip().lower() in NO
    return isinstance(value, bool | int | float) and not value


def is_weight(value: Any) -> bool:
    """Whether a value can be a weight, or a list of them: `is_weight("much")` -> False."""
    if isinstance(value, list):
        return all(map(is_weight, value))
    return isinstance(value, bool | int | float) or (isinstance(value, str) and value.strip().lower() in (*NO, *YES))


def is_trainable(message: Mapping[str, Any]) -> bool:
    """Whether a message, or a part of its content, may be learnt from: OpenAI's weight, and what others call it."""
    return WEIGHED.isdisjoint(message) or not any(is_zero(message[key]) for key in WEIGHTS if key in message)


def mask_of(record: Mapping[str, Any], count: int) -> Sequence[bool] | None:
    """Which of a record's messages may be learnt from, where the record itself says it; else None.

    Example: `mask_of({"messages": [...], "loss_mask": [0, 1]}, 2)` -> [False, True]. A list of another length says
    nothing about messages.
    """
    if MASKING.isdisjoint(record):
        return None
    if any(is_zero(record[key]) for key in OF_RECORD if key in record and not isinstance(record[key], list)):
        return [False] * count
    lists = (record[key] for key in MASKS if isinstance(record.get(key), list))
    mask = next((value for value in lists if len(value) == count), None)
    return None if mask is None else [not is_zero(value) for value in mask]


def is_undesired(record: Mapping[str, Any]) -> bool:
    """Whether a record's completion is one to be avoided, as KTO's rows say it: `is_undesired({"label": False})`.

    It isn't learnt from, then, and the label stays in `extra` (https://huggingface.co/docs/trl/dataset_formats).
    """
    return is_zero(record.get(UNDESIRED))


def reward_of(message: Mapping[str, Any]) -> float | None:
    """The reward of a message or a record, None where it has none: `reward_of({"reward": 1})` -> 1.0."""
    return as_reward(message.get(REWARD))


def outcome_of(record: Mapping[str, Any]) -> Outcome:
    """How a record ended: its reward and whether it succeeded, where fields say so and don't contradict each other."""
    if SAYING.isdisjoint(record):
        return NOTHING
    said = {bool(record[key]) for key in SUCCESS if isinstance(record.get(key), bool)}
    return Outcome(success=said.pop() if len(said) == 1 else None, reward=reward_of(record))


def answers_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record has beside its messages to compare them with: `answers_of({"answer": "cold"})`.

    What stands in the outcome as it is isn't repeated.
    """
    if SAYING.isdisjoint(record):
        return {}
    outcome, said = outcome_of(record), {}
    for key in ANSWERS:
        value = record.get(key)
        in_outcome = (key == REWARD and outcome.reward is not None) or (key in SUCCESS and value is outcome.success)
        if value is not None and not in_outcome:
            said[key] = value
    return said
