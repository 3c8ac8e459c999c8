"""No expression and no parser of ours is slow: eight times the text costs at most twelve times the processor time."""

import signal

import pytest
from expressions import METHODS, expressions
from hostile_texts import growth, shapes_of, stop


@pytest.fixture(autouse=True)
def in_time():
    """What runs too long is ended."""
    before = signal.signal(signal.SIGVTALRM, stop)
    yield
    signal.signal(signal.SIGVTALRM, before)


def slow(pattern, methods):
    """How an expression is slow, and on which text; "" if it isn't."""
    shapes = shapes_of(pattern)
    for method in sorted(methods):
        for shape in shapes:

            def run(text, method=method):
                return METHODS[method](pattern, text if isinstance(pattern.pattern, str) else text.encode())

            if found := growth(run, shape):
                return f"{method}: {found}"
    return ""


def test_no_expression_is_slow():
    found = expressions()
    assert len(found) > 300
    faults = {place: fault for pattern, (place, methods) in found.items() if (fault := slow(pattern, methods))}
    assert not faults, "\n".join(f"{place} {fault}" for place, fault in faults.items())
