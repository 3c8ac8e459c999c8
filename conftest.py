"""How nbval compares notebooks: text only. HTML tables change with pandas' version, warnings with everybody's."""

NOT_COMPARED = ("text/html", "stderr")


def pytest_collectstart(collector) -> None:
    """Called for each file; nbval's collectors have a list of the parts of outputs that are not compared."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += NOT_COMPARED
