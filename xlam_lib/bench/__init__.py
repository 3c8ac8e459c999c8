"""Benchmarks: held-out tools by AST match, the BFCL single-turn questions, intervals, published tables, the report."""
