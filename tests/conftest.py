"""What all tests share: the real records, and surroundings in which nothing asks a hub or draws progress bars."""

import os
from pathlib import Path

import pytest

REAL_DATA = "XLAM_REAL_DATA"
SURROUNDINGS = {
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait in a busy loop take the cores from other workers
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "VLLM_NO_USAGE_STATS": "1",
}


def pytest_configure() -> None:
    """Child processes of tests and the kernels of notebooks inherit these; what the caller has set stays.

    Workers that share the cores compute with one thread each: two of them with two threads wait for one another.
    """
    shared = {"OMP_NUM_THREADS": "1"} if "PYTEST_XDIST_WORKER" in os.environ else {}
    for name, value in {**SURROUNDINGS, **shared}.items():
        os.environ.setdefault(name, value)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that asks for the real records, so that `-m real_data` picks them."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker("real_data")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real public records. Unset: the test is skipped. Set, but not there: it fails, as a typo should."""
    named = os.environ.get(REAL_DATA, "")
    if not named:
        pytest.skip(f"{REAL_DATA} is unset: set it to the folder of real records to run this test")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"{REAL_DATA} is set to {named}, which is no folder: correct it, or unset it to skip these tests")
    return folder
