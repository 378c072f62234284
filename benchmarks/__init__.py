"""Benchmarks: `make bench`, or `python -m benchmarks`. See README.md in this folder."""
