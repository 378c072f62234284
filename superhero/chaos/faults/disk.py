"""The disk under the spool or the sink is full, or cannot be written to.

A full disk is played by RLIMIT_FSIZE, set from outside on the running processes: the kernel then refuses
every write to a file, with EFBIG where a full disk says ENOSPC. It needs no root and no mount, and nothing of
it is left behind. A folder that cannot be written to is played by a file in its place, since root may write
where modes forbid it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import suppress

from superhero.chaos.faults.fault import EVERYTHING, FLOW, SINK, WORKERS, Fault, NotInjected, Scene, Steps
from superhero.plural import counted

_NOTHING_FOR_S = 1.0


def _spool_full(scene: Scene) -> Steps:
    """Let the disk be full while no broker takes what cannot be spooled."""
    links = scene.rig.links("producer-broker")
    for link in links:
        link.cut()
    try:
        yield from _full(scene, lambda: [process.pid for process in scene.rig.ours.producers.members()])
    finally:
        for link in links:
            link.heal()


def _sink_full(scene: Scene) -> Steps:
    yield from _full(scene, lambda: _worker_pids(scene), lambda: _see_that_nothing_is_written(scene))


def _full(scene: Scene, processes: Callable[[], list[int]], see: Callable[[], None] = lambda: None) -> Steps:
    if sys.platform != "linux":
        raise NotInjected("limits of running processes can be set on Linux only")
    limited = processes()
    for pid in limited:
        _limit(pid, 0)
    try:
        scene.happened(f"{counted(len(limited), 'process', 'processes')} can write no file any more")
        see()
        yield
    finally:
        # Also those that were started meanwhile: they took the limit over from their parents.
        for pid in {*limited, *processes()}:
            with suppress(ProcessLookupError):
                _limit(pid, resource.RLIM_INFINITY)


def _limit(pid: int, size_bytes: int) -> None:
    """Set how large a file a process may write; the hard limit stays, so that it can be lifted again."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))


def _worker_pids(scene: Scene) -> list[int]:
    workers = [worker for lane in scene.rig.lanes for worker in lane.workers.members()]
    return [pid for worker in workers for pid in (worker.pid, *worker.children())]


def _sink_unwritable(scene: Scene) -> Steps:
    for lane in scene.rig.lanes:
        lane.take_data_dir_away()
    try:
        scene.happened("a file stands where the sink's folder was")
        _see_that_nothing_is_written(scene)
        yield
    finally:
        for lane in scene.rig.lanes:
            lane.give_data_dir_back()


def _see_that_nothing_is_written(scene: Scene) -> None:
    ours = scene.rig.ours.account
    scene.rig.pause(_NOTHING_FOR_S)  # what was begun before may end
    written, returned = ours.written, ours.returned
    scene.see("records are logged", lambda: ours.returned > returned)
    scene.rig.pause(_NOTHING_FOR_S)
    if ours.written != written:
        raise NotInjected(f"{ours.written - written} records were written all the same")
    scene.happened("and nothing is written")


_SINK = frozenset({SINK, WORKERS, FLOW})

FAULTS = (
    Fault(
        "spool-disk-full",
        "a full disk under the spool, and no broker either",
        # Alone: where neither disk nor broker takes anything, memory lasts for ten seconds.
        EVERYTHING,
        _spool_full,
        hold_s=2.0,
    ),
    Fault("sink-disk-full", "a full disk under the sink", _SINK, _sink_full, hold_s=2.0),
    Fault("sink-unwritable", "the sink's folder cannot be written to", _SINK, _sink_unwritable, hold_s=2.0),
)
