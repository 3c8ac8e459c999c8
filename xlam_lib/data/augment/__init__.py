"""Variants of a trajectory: other names, layouts, phrasings and tools, each undone exactly (notebook 01)."""
