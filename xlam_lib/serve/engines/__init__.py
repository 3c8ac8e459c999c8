"""Engines that serve a checkpoint behind an OpenAI-compatible API, or answer offline (notebook 04)."""
