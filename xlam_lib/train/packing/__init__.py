"""Tries: sequences that share beginnings, read once, with gradients equal to separate reading (notebooks 02, 06)."""
