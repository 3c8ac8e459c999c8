"""Is a trajectory sound, grounded and good? Verification, repair, grounding, ratings by rules and judges (notebook 01).

`verify(trajectory)` -> findings; `rate(trajectory, findings)` is the embedded rating and needs no model; `judge.py`
asks a model behind any OpenAI-compatible endpoint by a rubric, in the manner of AgentRater; `agreement.py` compares.
"""
