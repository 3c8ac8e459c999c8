"""Near-duplicates: datatrove's MinHash over what trajectories say, and which of a cluster stays (notebook 01).

datatrove computes signatures (a task a shard), compares them bucket by bucket, and clusters what meets. Which one of a
cluster stays is ours to say: the first in the order of the input, so the result doesn't depend on the workers.
Tools and system prompts are left out of the text: in agent data they are the same in thousands of trajectories, and
would make all of them alike. This module imports datatrove; only `phases.py` imports it, when it is asked for.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from xlam_lib.answers import json_text
from xlam_lib.data.pipeline.entries import entries
from xlam_lib.trajectory import Trajectory

# 14 buckets of 8: pairs alike by 0.72 meet as often as not, by 0.8 in 92 % and by 0.9 in all but 1 of 10^4 cases.
CONFIG = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(hash_fc="sha1"))
CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+")


class Words(WordTokenizer):
    """Words by a pattern, and Chinese, Japanese and Korean letter by letter; datatrove's own wants spaCy."""

    def word_tokenize(self, text: str) -> list[str]:
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return text.splitlines()

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in WORD.finditer(text)]


@dataclass
class Texts:
    """Shard `rank` as datatrove's documents, one for each trajectory of it."""

    folder: str

    def __call__(self, data: None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for entry, lines, _ in entries(Path(self.folder), rank):
            for kept, line in zip(entry.kept, lines, strict=True):
                yield Document(text_of(Trajectory.from_dict(json.loads(line))), kept.id)


def text_of(t: Trajectory) -> str:
    """What is compared: all messages, thoughts, calls and results, but no system prompt."""
    texts = []
    for step in t.steps:
        if step.role != "system":
            calls = [f"{call.name} {json_text(call.arguments)}" for call in step.tool_calls]
            texts += [step.reasoning, step.content, *calls]
    return "\n".join(text for text in texts if text)


def signatures(shards: Path, folder: Path) -> list:
    """The steps of the first stage; a task a shard."""
    return [Texts(str(shards)), MinhashDedupSignature(str(folder), CONFIG, language=Words())]


def buckets(signatures: Path, folder: Path) -> list:
    """The steps of the second stage; `CONFIG.num_buckets` tasks."""
    return [MinhashDedupBuckets(str(signatures), str(folder), config=CONFIG)]


def clusters(pairs: Path, folder: Path) -> list:
    """The steps of the third stage; one task."""
    return [MinhashDedupCluster(str(pairs), str(folder), CONFIG, save_cluster_id=True)]


def read_clusters(folder: Path, shard: int) -> dict[int, int]:
    """{number of a trajectory in the shard: its cluster} for those that have a near-duplicate."""
    file = folder / f"{shard:06d}.clusters"
    return dict(struct.iter_unpack("<2I", file.read_bytes())) if file.is_file() else {}
