"""A superhero combat simulator whose log records are ingested exactly once in effect."""

__version__ = "0.1.0"
