"""Room 1, data: raw records of many shapes become trajectories of one shape, and new ones are made (notebook 01).

    reading.py      files -> raw records, with the place of each; what can't be read is quarantined, not lost
    hub.py          the same from a data set of the hub, streamed
    sources/        one file a data set: raw record -> Trajectory, or Drop(reason)
    converting.py   the loop: convert, validate, account for every record
    unify.py        the command: `python -m xlam_lib.data.unify --source NAME --input PATH --output DIR`
    pipeline/       its steps: shards, verification, rating, duplicates, contamination, split, one merge with the books
    store.py        JSON Lines and Parquet; export.py: other formats (OpenAI, TRL, AgentOhana, ActionStudio, ADP)
    accounting.py   records in = converted + dropped + quarantined, or an error
    report.py       tables for notebook 01
    golden.py       makes the samples that the tests compare with
    apigen/         new trajectories from executable tools; augment.py varies them
    variants.py     prompts and answers in other layouts; masking.py, distractors.py: other names and tools; all undone

Helpers of the converters: schemas.py (types written as text, types seen in values -> JSON Schema) and chat.py
(chat messages of either OpenAI form -> steps).
"""
