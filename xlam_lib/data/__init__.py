"""Data: raw records of many shapes become trajectories of one shape, and new ones are made (notebook 01).

reading.py      files -> raw records, with the place of each; what can't be read is quarantined, not lost
hub.py          the same from a data set of the hub, streamed
sources/        one file a data set: raw record -> Trajectory, or Drop(reason); formats/ is what they share
convert.py      the loop: convert, validate, account for every record
boundary.py     one record never stops a run: what it provokes is its loss, and so is the time that it takes
unify.py        the command: `python -m xlam_lib.data.unify --source NAME --input PATH --output DIR`
pipeline/       its steps: shards, verification, rating, duplicates, contamination, split, one merge with the books
quality/        verification, repair, grounding, ratings
store.py        JSON Lines and Parquet; export.py: other formats (OpenAI, TRL, AgentOhana, ActionStudio, ADP)
fields.py       the fields that a source knows; others are kept and counted
accounting.py   records in = converted + dropped + quarantined, or an error
report.py       tables for notebook 01
golden.py       makes the samples that the tests compare with
apigen/         new trajectories from executable tools
augment/        variants of trajectories: other names, layouts, tools; all undone exactly
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "accounting": ["Accounting", "Drop", "Loss"],
        "convert": ["convert_files", "convert_records", "pairs"],
        "export": ["from_openai_row", "to_adp", "to_openai_row", "to_xlam"],
        "faults": ["spoiled"],
        "hub": ["HubId", "hub_records"],
        "inputs": ["find_input"],
        "reading": ["Raw", "ReadError", "data_files", "read_records"],
        "report": ["funnel", "gallery", "profile"],
        "store": ["read_parquet", "write_parquet"],
    },
)
