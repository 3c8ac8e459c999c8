"""What measures the library: speed of conversion and of tries, exactness, continuity, throughput (notebook 06)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "baselines": ["padded", "sorted_batches", "tries", "trl_packed"],
        "exactness": ["Difference"],
        "cases": ["CASES", "Case", "in_turns"],
        "speed": ["read_speed"],
        "synthetic": ["TrajectoryShape"],
        "workloads": ["bpe", "model_of", "samples"],
    },
)
