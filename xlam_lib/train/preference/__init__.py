"""Preference pairs and the trainer that learns from them (DPO, notebook 03)."""
