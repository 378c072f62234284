"""Turn log records into Celery tasks, in any Python program, by `logging.config.dictConfig` alone."""
