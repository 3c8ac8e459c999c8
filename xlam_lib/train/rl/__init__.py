"""GRPO: prompts, rewards by rules and by execution, the trainer (notebook 03)."""
