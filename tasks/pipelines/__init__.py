"""The pipelines: every module here is imported by the worker and registers itself (see tasks/registry.py)."""
