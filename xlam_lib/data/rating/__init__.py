"""Ratings of trajectories, 1 (bad) to 5 (good): by rules, by a judge, and how far raters agree (notebook 01).

`rate(trajectory, findings)` is the embedded default and needs no model; `judge.py` asks a model behind any
OpenAI-compatible endpoint by a rubric, in the manner of AgentRater; `agreement.py` compares raters.
"""

from xlam_lib.data.rating.rules import rate

__all__ = ["rate"]
