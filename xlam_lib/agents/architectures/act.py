"""Act: solved examples, no thoughts; what ReAct is compared with (arXiv 2210.03629, section 3; arXiv 2402.15538)."""

from xlam_lib.agents.architectures.language import LanguageAgent


class Act(LanguageAgent):
    """Acts as the examples do: `Act(endpoint, environment)`."""

    name, title, order = "act", "Act", 30
    shows_examples = True


AGENT = Act
