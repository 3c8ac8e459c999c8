"""What the tests of the benchmarks share."""

import pytest
from bench_fakes import FakeServer


@pytest.fixture
def server():
    """A fake OpenAI-compatible server; set `server.answer`, read `server.asked`."""
    fake = FakeServer()
    yield fake
    fake.close()
