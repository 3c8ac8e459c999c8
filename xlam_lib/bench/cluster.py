"""Episodes spread over a Ray cluster: the same functions on other machines, one file of episodes here.

Used by `python -m xlam_lib.bench.run --ray ADDRESS` (notebook 05). Each Ray task plays some episodes as this machine
would, and its results are appended here as they come; so the model's endpoint must be reached from all nodes. Ray is
not among the locked packages: `pip install ray`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlam_lib.bench.episodes import Episode, Planned, play
from xlam_lib.bench.plan import model_of, plan_of
from xlam_lib.bench.settings import BenchSettings
from xlam_lib.endpoint import Progress
from xlam_lib.errors import XlamError
from xlam_lib.journal import Journal

AT_ONCE = 4  # episodes that one Ray task plays side by side; each takes one core of the cluster


class ClusterError(XlamError, RuntimeError):
    """No cluster, or no Ray."""


def play_on_ray(
    settings: BenchSettings,
    plan: Sequence[Planned],
    *,
    path: str | Path,
    concurrency: int,
    progress: Progress | None = None,
) -> list[Episode]:
    """Plays what isn't in the file yet on the cluster of `settings.ray`; `concurrency` episodes at once."""
    try:
        import ray
    except ImportError as error:
        raise ClusterError("episodes are spread by the package ray, which isn't installed: pip install ray") from error
    ray.init(address=settings.ray, ignore_reinit_error=True, log_to_driver=False)
    journal = Journal(path, Episode, "episodes", {one.id: one.asked for one in plan})
    missing = [one.id for one in plan if one.id not in journal.done]
    parts = [missing[first : first + AT_ONCE] for first in range(0, len(missing), AT_ONCE)]
    remote = ray.remote(num_cpus=1, max_retries=2)(play_part)
    running: list[Any] = []
    try:
        while parts or running:
            while parts and len(running) * AT_ONCE < concurrency:
                running.append(remote.remote(settings, parts.pop(0)))
            (done,), running = ray.wait(running, num_returns=1)
            for episode in ray.get(done):
                journal.append(episode)
            if progress is not None:
                progress(len(journal.done), len(plan))
    finally:
        ray.shutdown()
    return [journal.rows[one.id] for one in plan]


def play_part(settings: BenchSettings, ids: Sequence[str]) -> list[Episode]:
    """Some episodes of a run, played in this process: `play_part(settings, ["webshop/react/test-7/0"])`."""
    with model_of(settings) as endpoint:
        chosen = set(ids)
        return play([one for one in plan_of(settings, endpoint) if one.id in chosen], concurrency=AT_ONCE)
