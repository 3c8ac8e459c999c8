"""xlam_lib: the small library that the notebooks call.

Data flows downwards only: ``trajectory`` and ``codec`` (ground floor), then ``data``, ``train``, ``serve``, ``bench``,
and ``run``, which executes the notebooks. Importing this package does no work and loads neither torch nor vllm.
"""

__version__ = "0.1.0"
