"""How the tests and notebooks run: what nbval compares, and who runs what where several workers share the work.

`make test` starts three workers (pytest-xdist, `--dist loadscope`): a file is one worker's, so what a file makes once
is made once. The notebooks count as one file, because each goes on from what the one before it left in
`runs/notebooks`.
"""

from collections import Counter

import pytest

NOT_COMPARED = ("text/html", "stderr")  # HTML tables change with pandas' version, warnings with everybody's


def pytest_collectstart(collector) -> None:
    """Called for each file; nbval's collectors have a list of the parts of outputs that are not compared."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += NOT_COMPARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no worker is left alone with it in the end."""
    slow = Counter(scope(item.nodeid) for item in items if item.get_closest_marker("slow") or is_cell(item.nodeid))
    items.sort(key=lambda item: (not is_cell(item.nodeid), -slow[scope(item.nodeid)]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """The scheduler of `--dist loadscope`, to which all notebooks are one scope."""
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    return Scheduler(config, log)


def scope(nodeid: str) -> str:
    """What one worker runs: `scope("tests/test_codec.py::test_x")` -> "tests/test_codec.py"."""
    return "notebooks" if is_cell(nodeid) else nodeid.partition("::")[0]


def is_cell(nodeid: str) -> bool:
    """Whether a test is a cell of a notebook, as nbval names them."""
    return ".ipynb::" in nodeid
