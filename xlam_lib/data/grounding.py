"""Is an argument's value grounded in what the model was told?"""

from __future__ import annotations

from typing import Any


class Heard:
    """All that was said so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """More that the model was told."""
        self.texts.append(text)

    def ungrounded(self, value: Any, name: str = "", tool: Any = None) -> list[Any]:
        """The parts of a value that stand nowhere."""
        return []
