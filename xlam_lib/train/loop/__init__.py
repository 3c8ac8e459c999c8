"""Around every training: settings, processes, logs, telemetry, resuming, and the record of what a run was."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "child": ["ChildError"],
        "command": ["command"],
        "distributed": ["state"],
        "log": ["LogError", "curve", "read_log"],
        "mask_report": ["MaskReport"],
        "record": ["run_id"],
        "reporting": ["Report"],
        "sharding": ["prepare_accelerator"],
        "telemetry": ["Meter"],
    },
)
