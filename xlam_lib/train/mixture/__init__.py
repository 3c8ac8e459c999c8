"""Several sources in one stream: files, shares, order, examples, loading (notebooks 01 and 02)."""
