"""Where the helpers of the tests lie, for tests that hand them to another process."""

from pathlib import Path

SUPPORT = Path(__file__).parent
