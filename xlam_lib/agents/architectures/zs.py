"""ZS: zero-shot; the instruction and the actions, no example and no thought (arXiv 2308.05960, section 3.1)."""

from xlam_lib.agents.architectures.language import LanguageAgent


class ZeroShot(LanguageAgent):
    """Acts at once: `ZeroShot(endpoint, environment)`."""

    name, title, order = "zs", "ZS", 10


AGENT = ZeroShot
