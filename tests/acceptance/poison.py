"""Pipelines that misbehave, for workers under test: given to them with `-I poison`.

What an event asks for stands in its payload; files in `folder` are how test and worker speak.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sinks.base import Write
from superhero.transport.envelope import Envelope
from tasks.registry import after_write, pipeline


@pipeline(event="test.kill")
def kill(envelope: Envelope, event: Mapping[str, Any]) -> Iterable[Write]:
    """Kill the process at work, each time."""
    _note(event, "killed")
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


@pipeline(event="test.hold")
def hold(envelope: Envelope, event: Mapping[str, Any]) -> Iterable[Write]:
    """Be at work for as long as the file `held` is there and no file `go`."""
    _note(event, "began")
    while not (Path(event["folder"]) / "go").exists():
        time.sleep(0.02)
    return ()


@pipeline(event="test.raise")
def fail(envelope: Envelope, event: Mapping[str, Any]) -> Iterable[Write]:
    """Raise what no pipeline should."""
    raise LookupError("this pipeline has a bug")


@after_write(event="test.bad-step")
def bad_step(envelope: Envelope, event: Mapping[str, Any]) -> None:
    """Raise after the write."""
    raise LookupError("this step has a bug")


def _note(event: Mapping[str, Any], what: str) -> None:
    with (Path(event["folder"]) / what).open("a") as notes:
        notes.write(f"{os.getpid()}\n")
