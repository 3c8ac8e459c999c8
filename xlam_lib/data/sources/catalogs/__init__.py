"""The tools of benchmarks whose records name tools without describing them."""
