"""The benchmarks, one a module: `run(stage)` returns its figures."""
