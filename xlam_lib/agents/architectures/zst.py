"""ZST: zero-shot think; as ZS, with a thought before each action (arXiv 2308.05960, section 3.1)."""

from xlam_lib.agents.architectures.language import LanguageAgent


class ZeroShotThink(LanguageAgent):
    """Thinks, then acts, without an example: `ZeroShotThink(endpoint, environment)`."""

    name, title, order = "zst", "ZST", 20
    thinks = True


AGENT = ZeroShotThink
