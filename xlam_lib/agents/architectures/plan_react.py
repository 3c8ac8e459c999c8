"""PlanReAct: a plan before the first action, then a thought before each (arXiv 2308.05960, section 3.1)."""

from xlam_lib.agents.architectures.language import LanguageAgent


class PlanReact(LanguageAgent):
    """Plans once, then thinks and acts: `PlanReact(endpoint, environment)`."""

    name, title, order = "plan_react", "PlanReAct", 70
    plans = thinks = shows_examples = True


AGENT = PlanReact
