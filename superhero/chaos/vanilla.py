"""Plain Celery, for comparison: its defaults, a task per record, a line per task. Run by `superhero chaos`.

Everything is as a first page of Celery's documentation has it: the task is acknowledged before it runs, it
is published without confirms, and it waits in the classic queue `celery`. The broker is given on the command
line and by the producer, the file with each call, so that nothing is read from the environment.
"""

from __future__ import annotations

from pathlib import Path

from celery import Celery

app = Celery("vanilla")
app.conf.broker_connection_retry_on_startup = True  # the default, said aloud: else Celery warns of a change


@app.task(name="vanilla.append")  # type: ignore[untyped-decorator]  # Celery has no types
def append(path: str, line: str) -> None:
    """Append a line to a file."""
    with Path(path).open("a", encoding="utf-8", errors="replace") as file:
        file.write(line + "\n")
