"""APIGen-MT in small: blueprints of what shall happen, played by a simulated user and an agent, verified at the end.

A blueprint holds what the user asks for, the actions that do it, and what the user must learn; `blueprint.py` checks
it by executing it. `play.py` lets a user and an agent (`xlam_lib.agents`) talk over a mock domain (`desk.py`: a town
library with a database, typed tools and a policy) and keeps the conversation only if the database ends as the
blueprint's and everything was mentioned.
After APIGen-MT (arXiv 2504.03601). Run it with `python -m xlam_lib.data.apigen.run --multi-turn 20 --out DIR`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "blueprint": ["Blueprint", "Goal", "validate"],
        "desk": ["Desk", "make_database"],
        "play": ["verify"],
        "produce": ["ModelPlayers", "RulePlayers"],
    },
)
