"""A trajectory as an HTML card, what Jupyter shows for one; used by all notebooks through `Trajectory._repr_html_`.

Everything that comes from data is escaped. Long texts fold away behind their first line.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xlam_lib.trajectory import Step, Trajectory

COLOURS = {"system": "#8a8f98", "user": "#2f6fde", "assistant": "#1f9d61", "tool": "#b7791f"}
FOLD = 400  # characters shown before a text folds


def card(trajectory: Trajectory) -> str:
    """The HTML of one trajectory: '<div style="...">...</div>'."""
    outcome = trajectory.outcome
    facts = [trajectory.source.name, trajectory.source.license, trajectory.split, *trajectory.tags]
    facts += [f"{len(trajectory.steps)} steps", outcome.termination if outcome.termination != "unknown" else ""]
    facts += [f"reward {outcome.reward:g}" if outcome.reward is not None else ""]
    facts += [f"{rating.rater}: {rating.score:g}/5" for rating in trajectory.quality]
    named = (f'<span title="{escape(tool.description)}">{escape(tool.name)}</span>' for tool in trajectory.tools)
    rows = [
        f"<b>{escape(trajectory.trajectory_id)}</b> " + _muted(escape(" · ".join(filter(None, facts)))),
        _muted(_text(f"task: {trajectory.task.instruction}")) if trajectory.task.instruction else "",
        _muted(f"tools: {', '.join(named) or 'none'}"),
        *map(_row, trajectory.steps),
    ]
    style = "border:1px solid #8884;border-radius:8px;padding:.6em .9em;max-width:60em;line-height:1.45"
    return f'<div style="{style}">{"".join(rows)}</div>'


def _row(step: Step) -> str:
    colour = "#c53030" if step.is_error else COLOURS[step.role]
    label = f"{step.role} {step.name}".strip() + (" ✗" if step.is_error else "")
    notes = [] if step.trainable else ["not trained on"]
    notes += [f"reward {step.reward:g}"] if step.reward is not None else []
    body = _muted(_text(step.reasoning)) if step.reasoning else ""
    body += _text(step.content)
    body += "".join(
        f"<div><code>{escape(call.name)}({_arguments(call.arguments)})</code></div>" for call in step.tool_calls
    )
    body += _muted(", ".join(notes)) if notes else ""
    style = f"border-left:3px solid {colour};margin:.45em 0 0;padding:.1em 0 .1em .7em;overflow-wrap:anywhere"
    title = f'<div style="color:{colour};font-size:.8em;font-weight:600">{escape(label)}</div>'
    return f'<div style="{style}">{title}{body}</div>'


def _arguments(arguments: dict) -> str:
    shown = (f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in arguments.items())
    return escape(", ".join(shown))


def _muted(html: str) -> str:
    return f'<div style="color:#8a8f98;font-size:.85em">{html}</div>'


def _text(text: str) -> str:
    whole = f'<div style="white-space:pre-wrap">{escape(text)}</div>' if text else ""
    if len(text) <= FOLD:
        return whole
    start = escape(" ".join(text[:100].split()))
    return f"<details><summary>{start} … ({len(text):,} characters)</summary>{whole}</details>"
