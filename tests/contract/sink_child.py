"""A process that writes one batch to a sink and can be told to die on the way. Run as a script.

Calls of the system are those that a sink makes: of files, of an object store, of a database.

Reads a line from stdin: {"url", "writes", "times", "die_at"}. Says "ready", waits for a second line, so that
several can be let go at once, and writes the batch `times` times over. With `die_at` N it ends by SIGKILL
just before its Nth call of the system, a write after half of its bytes, a merge somewhere on its way.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sinks import open_sink
from sinks.base import Append, Put, Write

_CALLS = ("open", "mkdir", "write", "fsync", "fdatasync", "rename", "replace", "ftruncate", "unlink", "close")


def to_json(write: Write) -> dict[str, Any]:
    """Return a write as it goes to the child."""
    key = {"key": write.key} if isinstance(write, Put) else {}
    return {"dataset": write.dataset, "rows": list(write.rows), **key}


def from_json(fields: Mapping[str, Any]) -> Write:
    """Return the write that came from the parent."""
    return Put(**fields) if "key" in fields else Append(**fields)


def die_at(step: int) -> None:
    """Count this process's calls of the system, and end it at the `step`th."""
    calls = 0

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step:
                if name == "write":
                    function(args[0], bytes(args[1])[: len(args[1]) // 2])
                if name == "merge":
                    threading.Timer(random.random() / 50, os.kill, (os.getpid(), signal.SIGKILL)).start()
                    function(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name in _CALLS:
        setattr(os, name, counted(name, getattr(os, name)))
    # What the sink does not use it has not imported.
    if store := sys.modules.get("obstore"):
        for name in ("get", "put"):
            setattr(store, name, counted(name, getattr(store, name)))
    if deltalake := sys.modules.get("deltalake"):
        merger = deltalake.table.TableMerger
        merger.execute = counted("merge", merger.execute)
    if sqlalchemy := sys.modules.get("sqlalchemy"):
        # The last one comes when a transaction has ended.
        for name in ("begin", "before_cursor_execute", "after_cursor_execute", "commit"):
            sqlalchemy.event.listen(sqlalchemy.Engine, name, counted(name, lambda *arguments: None))
        sqlalchemy.event.listen(sqlalchemy.pool.Pool, "checkin", counted("checkin", lambda *arguments: None))


def main() -> None:
    """Do as the first line says, once the second has come."""
    order = json.loads(sys.stdin.readline())
    writes = [from_json(fields) for fields in order["writes"]]
    sink = open_sink(order["url"])
    print("ready", flush=True)
    sys.stdin.readline()
    die_at(order["die_at"])
    for _ in range(order["times"]):
        sink.write(writes)


if __name__ == "__main__":
    main()
