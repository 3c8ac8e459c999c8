"""ToolQuery-Unified: the questions of Tool-Query in xLAM's unified format, tools and calls as JSON (notebook 05).

    task = ToolQueryUnified()           # as `tool_query.py`, but over native function calling

Goals, tools and scores are those of Tool-Query; what differs is the form: tools as JSON Schema, calls of them in place
of actions in words, results as JSON (xLAM, arXiv 2409.03215).
"""

from __future__ import annotations

from xlam_lib.bench.base import Figure
from xlam_lib.bench.tasks.tool_query import ToolQueryTask


class ToolQueryUnified(ToolQueryTask):
    """Tool-Query over calls: `ToolQueryUnified(split="test")`."""

    name = "tool_query_unified"
    title = "ToolQuery-Unified"
    figures = (
        Figure("tool_query_unified.success", "05_benchmarking"),
        Figure("tool_query_unified.progress", "05_benchmarking"),
    )
    published = ()
    form = "calls"


TASK = ToolQueryUnified
