"""Several sources in one stream: files, shares, order, examples, loading (notebooks 01 and 02)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "data_objects": ["TrajectoryData"],
        "examples": ["Example", "order", "spans"],
        "grouped": ["Trajectories", "trajectories"],
        "inputs": ["Draws"],
        "interleave": ["interleave_data"],
        "loader": ["Loader"],
        "mixture": ["Mixture"],
        "schedule": ["Schedule"],
    },
)
