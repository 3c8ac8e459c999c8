"""ToolBench as StableToolBench plays it: queries over thousands of APIs, answered by a virtual server (notebook 05).

`apis` has the tree of APIs and their functions, `queries` what users ask, `server` the virtual API server that
`service` offers over HTTP, `environment` what an agent acts in, `answers` ToolEval's form of what it did, `verdicts`
whether that passes, and `embedded` a collection of our own:

    one = embedded.solved("test")[0]
    environment = ToolEval(one.query, embedded.server(), embedded.examples_for(one.query))
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["embedded"],
    submod_attrs={
        "answers": ["Called", "converted", "of_trajectory", "shown_steps"],
        "apis": ["Api", "Parameter", "ToolEvalError", "Tree", "read_tools"],
        "environment": ["CallText", "ToolEval"],
        "queries": ["FINISH", "GROUPS", "Query", "read_queries"],
        "server": ["Recorded", "Simulator", "VirtualServer"],
        "service": ["application"],
        "verdicts": ["EndpointJudge", "Verdict", "majority", "solve_rate", "verdict", "votes"],
    },
)
