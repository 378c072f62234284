"""The worker's log as JSON lines, where LOG_FORMAT says so."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_app, signals

from superhero.loglines import format_handlers


@signals.after_setup_logger.connect  # type: ignore[untyped-decorator]  # Celery has no types
@signals.after_setup_task_logger.connect  # type: ignore[untyped-decorator]
def _after_setup(logger: logging.Logger, **_: Any) -> None:
    """Replace the formatters that Celery chose; it does so in the parent, and children inherit it."""
    if current_app.conf.superhero_log_format == "json":
        format_handlers(logger)
