"""The agents of BOLAA and AgentLite, found by themselves: a module with an `AGENT` is one (notebook 05).

ZS, ZST, ReAct, PlanAct, PlanReAct and BOLAA are those of Liu et al. 2023 (BOLAA, arXiv 2308.05960, section 3), Act is
ReAct without thoughts, as in AgentLite (arXiv 2402.15538). Each drives any OpenAI-compatible endpoint or a Python
function, in words or by native tool calls:

    agents()["react"](endpoint, environment)                     # an Agent, made anew for each episode
    agents()["zs"](Function(lambda messages: "Action: look"), environment, native=False)

To add one, write `architectures/<name>.py` with a class over `language.LanguageAgent`, and `AGENT = <the class>`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from xlam_lib.agents.architectures.language import Function, LanguageAgent

__all__ = ["Function", "LanguageAgent", "agents"]


@cache
def agents() -> dict[str, type[LanguageAgent]]:
    """All agents by name: zs, zst, act, react, plan_act, plan_react, bolaa."""
    modules = (importlib.import_module(info.name) for info in pkgutil.iter_modules(__path__, f"{__name__}."))
    found = [module.AGENT for module in modules if hasattr(module, "AGENT")]
    return {agent.name: agent for agent in sorted(found, key=lambda agent: (agent.order, agent.name))}
