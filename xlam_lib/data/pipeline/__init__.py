"""Read -> convert -> verify -> rate -> deduplicate -> split -> store, in steps that datatrove runs (notebook 01).

    shards.py        which part of which file each task reads; the same parts however many workers there are
    steps.py         the steps of one task, from raw records to a shard of trajectories with its index
    near.py          near-duplicates by datatrove's MinHash
    contamination.py n-grams of benchmark questions in what users say
    splitting.py     train, val and test, with no task and no tool set on two sides
    merge.py         shards -> one folder: ids, duplicates, split, books
    phases.py        the order of all this; executors.py: here, on several processes, on Slurm, on Ray

A step is a callable `step(data, rank, world_size)`, which is what datatrove asks of one; datatrove itself is imported
only where it is needed: with several workers, on a cluster, for near-duplicates. `xlam_lib.data.unify` is the command.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contamination": ["benchmark_functions", "benchmark_questions", "benchmark_texts"],
        "executors": ["EXECUTORS", "run_local", "submit"],
        "merge": ["Merge"],
        "phases": ["Options"],
        "shards": ["FilePart", "fetch"],
    },
)
