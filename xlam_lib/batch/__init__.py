"""Batches of notebooks: the parts that `xlam_lib.run` is made of (plan, guard, execute, progress, manifest)."""
