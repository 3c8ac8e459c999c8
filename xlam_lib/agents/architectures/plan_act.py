"""PlanAct: a plan before the first action, then actions without thoughts (arXiv 2308.05960, section 3.1)."""

from xlam_lib.agents.architectures.language import LanguageAgent


class PlanAct(LanguageAgent):
    """Plans once, then acts: `PlanAct(endpoint, environment)`."""

    name, title, order = "plan_act", "PlanAct", 60
    plans = shows_examples = True


AGENT = PlanAct
