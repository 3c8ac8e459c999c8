"""ReAct: solved examples with a thought before each action (Yao et al. 2022, arXiv 2210.03629)."""

from xlam_lib.agents.architectures.language import LanguageAgent


class React(LanguageAgent):
    """Thinks and acts as the examples do: `React(endpoint, environment)`."""

    name, title, order = "react", "ReAct", 40
    thinks = shows_examples = True


AGENT = React
