"""How fast and how lean `unify` is, against a plain loop over the same files (notebook 01).

    python -m xlam_lib.perf.conversion --source glaive --input raw/glaive --seconds 2
    python -m xlam_lib.perf.conversion --as-they-are --input raw
    python -m xlam_lib.perf.conversion --source glaive --input raw/glaive --seconds 60 --against-map --workers 2
    python -m xlam_lib.perf.conversion --source glaive --input raw/glaive --gigabytes 2 --folder /tmp/big

    plain    a loop as one writes it: json.loads; every dictionary and list built anew, where a text that begins
             with { or [ and is JSON is parsed as well; json.dumps; written
    convert  the pipeline with neither verification nor rating: read, convert, check against all rules of a trajectory
             and of JSON Schema, tell duplicates apart, write with the books
    unify    the same with verification and rating, as it is by default

The first is harsh: the real records that convert, as lines, until the plain loop takes about so many seconds. In each
repetition the ids, every description and a word that matters to the conversion differ, also from round to round, so
that no tool and no record comes twice: no data set is like that, and no cache of tools is of any help.

The second runs over the real files as they lie: lists, lines, zipped, all records of them, of one source or of every
source that has a folder of its name. See `as_they_are.py` for what repeats there and what that flatters.

Both take processor seconds of one core in alternating rounds; `convert_share` is plain / convert, of medians.

The third takes wall seconds: `unify` with workers against `datasets.map` with as many processes. The fourth unifies
one file of that size in a child process and reports the greatest memory of it and its workers; what stands behind `--`
goes to `unify`, as in `-- --dedup exact --split 0.9 0.05 0.05`.

    changed.py  real records changed so that no two are alike      plain.py  the plain loop
    compare.py, as_they_are.py, against_map.py, memory.py            the four measurements
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "against_map": ["map_lines"],
        "as_they_are": ["measured"],
        "memory": ["watch"],
    },
)
