"""What measures the library: speed of conversion and of tries, exactness, continuity, throughput (notebook 06)."""
