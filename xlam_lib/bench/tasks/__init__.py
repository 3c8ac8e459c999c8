"""The benchmarks, one file each with what belongs to it (notebooks 02, 03 and 05)."""
