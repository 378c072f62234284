"""Log of our own processes as one JSON object per line, for whoever collects logs: LOG_FORMAT=json.

    {"time": "2026-01-31T12:00:00.000Z", "level": "INFO", "logger": "...", "message": "...", "process": 4711}

`exception` holds a traceback, `event` and `payload` what a record of the pipeline's says, `task` the id of
the task at work. What a message says is not looked into: credentials stand in none (docs/security.md).
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

FORMATS = ("text", "json")

_SECOND = "%Y-%m-%dT%H:%M:%S"
_EXTRA = {"event": "event", "payload": "payload", "task_id": "task"}


class JsonLines(logging.Formatter):
    """Formats a record as a line of JSON; what JSON does not know goes as its `str`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        said: dict[str, Any] = {
            "time": f"{time.strftime(_SECOND, time.gmtime(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        for name, shown in _EXTRA.items():
            if record.__dict__.get(name) not in (None, "???"):  # Celery's word for no task
                said[shown] = record.__dict__[name]
        if record.exc_info or record.exc_text:
            trace = record.exc_text or self.formatException(record.exc_info)  # type: ignore[arg-type]
            said["exception"] = trace
        if record.stack_info:
            said["stack"] = record.stack_info
        return json.dumps(said, ensure_ascii=False, default=str)


def format_handlers(logger: logging.Logger) -> None:
    """Have whatever a logger writes to a stream written as JSON lines."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setFormatter(JsonLines())


def in_json() -> bool:
    """Tell whether this process logs JSON lines."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)
