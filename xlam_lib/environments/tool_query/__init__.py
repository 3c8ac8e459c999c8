"""AgentBoard's Tool-Query: questions about weather, movies and papers, answered by asking tools (notebook 05).

    goals.py         what is asked, its subgoals and answer; reads the original's test.jsonl, too
    toolkit.py       what the tools of a domain have in common; weather.py, movies.py, academia.py have their tools,
                     and the Protocol of the service behind each
    *_data.py        services made by us, as those of the original need the net: open-meteo, TMDB, a graph of DBLP
    services.py      which services are asked: put your own in their place here
    *_goals.py       the embedded goals, each with the calls that solve it
    progress.py      which subgoals were reached, and whether an answer is right
    language.py      the original's actions in words; environment.py plays, manual.py explains

Ma et al. 2024, AgentBoard (https://arxiv.org/abs/2401.13178). For example:

    goal = embedded_goals("train")[0]
    run(rollout(Expert(goal), ToolQuery(goal), goal.task)).outcome.reward    # 1.0, the progress
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "embedded": ["embedded_goals"],
        "environment": ["Expert", "ToolQuery"],
        "goals": ["Goal", "GoalError", "read_goals"],
        "language": ["QueryActions"],
        "manual": ["manual_of"],
        "progress": ["progress", "same_answer"],
        "services": ["Services"],
    },
)
