"""One message of any spelling, as all that reads conversations hands it on (notebook 01)."""

from __future__ import annotations

import json
from typing import Any

from xlam_lib.data.formats.call_forms import FoundCall
from xlam_lib.schema import Frozen


class Turn(Frozen, frozen=True):
    """One message of any spelling: `Turn("user", "Hi")`; `texts` are the calls as the source wrote them."""

    role: str  # system, user, assistant or tool
    content: str = ""
    reasoning: str = ""
    calls: tuple[FoundCall, ...] = ()
    texts: tuple[str, ...] = ()
    name: str = ""  # of the tool, on results
    raw_id: str = ""
    raw_ids: tuple[str, ...] = ()  # of several calls that one result answers
    own_id: str = ""  # of the message, which some call by the id of the call
    parts: tuple[str, ...] = ()  # of a result's content, where there are several
    is_error: bool = False
    trainable: bool = True
    reward: float | None = None
    joins: bool = False  # holds nothing but calls, so it belongs to the text before it
    unknown: dict[str, Any] | None = None  # fields that aren't read, by their place


def json_text(value: Any) -> str:
    """A value that isn't text, as JSON: `json_text({"a": 1})` -> '{"a": 1}'."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
