"""Where tools are executed: embedded ones in a quick child, strangers' functions and programs of models confined."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "executor": ["ExecutionError", "Executor", "result_of"],
        "interpreter": ["Interpreter", "Session"],
        "sandbox": ["Limits", "Reference", "Sandbox", "reference"],
    },
)
