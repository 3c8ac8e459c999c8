"""Is a trajectory sound, grounded and good? Verification, repair, grounding, ratings by rules and judges (notebook 01).

`verify(trajectory)` -> findings; `rate(trajectory, findings)` is the embedded rating and needs no model; `judge.py`
asks a model behind any OpenAI-compatible endpoint by a rubric, in the manner of AgentRater; `agreement.py` compares.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "agreement": ["agreement_table", "weighted_kappa"],
        "findings": ["Finding", "Policy", "RULES"],
        "judge": ["Judge", "Judgement", "judge_all", "read_judgements"],
        "repair": ["repaired", "unrepaired"],
        "rubric": ["RUBRIC", "Rubric", "load_rubric"],
        "rules": ["rate"],
        "verify": ["findings_table", "first_error", "policy_of"],
    },
)
