"""Turn log records into Celery tasks, in any Python program, by `logging.config.dictConfig` alone."""

from superhero.transport.counters import Counters
from superhero.transport.handler import CeleryHandler

__all__ = ["CeleryHandler", "Counters"]
