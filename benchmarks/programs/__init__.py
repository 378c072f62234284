"""What the benchmarks run as processes of their own, under the project's Python."""
