"""MINT: problems solved over a few turns with Python, some with an expert's feedback (Wang et al. 2023, 2309.10691).

`environment.py` is the interaction, `checkers.py` says which answers are right, `problems.py` reads our own problems
and the original's files. Benchmarked by `bench/tasks/mint.py` (notebook 05):

    problem = embedded_problems()[0]
    with Interpreter() as python:
        run(rollout(agent, MintEnvironment(problem, python), problem.task)).outcome.reward
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checkers": ["FAMILIES", "is_right"],
        "environment": ["ACTIONS", "MANUAL", "TOOLS", "MintEnvironment"],
        "problems": ["Problem", "embedded_problems", "read_problems"],
    },
)
