"""GRPO: prompts, rewards by rules and by execution, the trainer (notebook 03)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "execution": ["Execution"],
        "prompts": ["read_prompts"],
        "rewards": ["RULES", "Reward", "RewardSum"],
        "settings": ["GrpoSettings"],
        "trainer": ["PolicyTrainer"],
    },
)
