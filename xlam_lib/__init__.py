"""xlam_lib: the small library that the notebooks call.

Data flow downwards, and so do imports (pyproject.toml has the order, tests/test_architecture.py holds it):

    trajectory  schema  validation  codec  answers  chat_template  views     the formats
    errors  files  paths  endpoint  journal  processes  seeds  settings      what all rooms need
    data/   raw records -> trajectories; new ones made    ->    train/  SFT, DPO, GRPO, on mixtures and tries
    serve/  engines, client, tool parser                  ->    bench/  tasks, scorecard, report

    models/ checkpoints, adapters, the xLAM family              agents/ agents, environments, one rollout
    batch/  papermill batches over the notebooks                plots/  figures       perf/  what measures the library

Importing this package does no work and loads neither torch nor vllm.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
