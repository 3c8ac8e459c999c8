"""What a run of the pipeline does beside converting: `Options(dedup="near", split=(0.9, 0.05, 0.05))`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from xlam_lib.data.pipeline.splitting import BY


@dataclass(frozen=True)
class Options:
    """Verification and the rating by rules are on; what leaves trajectories out must be asked for."""

    verify: bool = True
    rate: bool = True
    strict: bool = False  # a finding of level error costs the trajectory its place
    dedup: Literal["none", "exact", "near"] = "none"
    decontaminate: tuple[str, ...] = ()  # "bfcl", or files of questions
    split: tuple[float, ...] = ()  # shares of train, val and test
    split_by: tuple[str, ...] = BY
    seed: int = 0
    parquet: bool = False

    def __post_init__(self) -> None:
        if self.strict and not self.verify:
            raise ValueError("strict is about what verification finds: it can't be without verify")
        if self.dedup not in ("none", "exact", "near"):
            raise ValueError(f"dedup is {self.dedup!r}, expected none, exact or near")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, which tell whether an earlier run asked for the same."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
