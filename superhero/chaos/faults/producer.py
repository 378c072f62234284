"""The application that logs is killed, also with records that no broker has, or its clock jumps back."""

from __future__ import annotations

import os
import signal

from superhero.chaos.faults.fault import FLOW, PRODUCER, Fault, NotInjected, Scene, Steps
from superhero.chaos.producer import CLOCK_SAID

_LEAST_SPOOLED_BYTES = 10_000


def _killed(scene: Scene) -> Steps:
    _kill_producers(scene)
    yield


def _killed_with_full_spool(scene: Scene) -> Steps:
    for link in scene.rig.links("producer-broker"):
        link.cut()
    try:
        yield
        spooled = sum(path.stat().st_size for path in scene.rig.ours.spool_dir.rglob("*") if path.is_file())
        if spooled < _LEAST_SPOOLED_BYTES:
            raise NotInjected(f"only {spooled} bytes are in the spool, which is not full")
        _kill_producers(scene)
        scene.happened(f"{spooled} bytes were in the spool")
    finally:
        for link in scene.rig.links("producer-broker"):
            link.heal()


def _kill_producers(scene: Scene) -> None:
    for lane in scene.rig.lanes:
        for process in lane.producers.members():
            scene.happened(f"{process.name} of {lane.title} ended with status {process.kill9()}")
    scene.kills += 1


def _clock_back(scene: Scene) -> Steps:
    for lane in scene.rig.lanes:
        for process in lane.producers.members():
            os.kill(process.pid, signal.SIGUSR1)
            process.wait_for_line(CLOCK_SAID)
            scene.happened(f"{process.name} of {lane.title} set its clock back")
    yield


_PRODUCER = frozenset({PRODUCER})

FAULTS = (
    Fault("producer-kill", "kill -9 of the process that logs", _PRODUCER, _killed),
    Fault(
        "full-spool",
        "kill -9 of the process that logs, while its spool holds what no broker has",
        frozenset({PRODUCER, FLOW}),
        _killed_with_full_spool,
        hold_s=4.0,
    ),
    Fault("clock-back", "the clock of the process that logs jumps back an hour", _PRODUCER, _clock_back),
)
