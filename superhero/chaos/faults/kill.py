"""Kill -9 of workers at their tasks. A supervisor starts again what died, after half a second."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from superhero.chaos.faults.fault import FLOW, WORKERS, Fault, NotInjected, Scene, Steps
from superhero.chaos.lanes import Lane
from superhero.chaos.sabotage import FREEZE
from superhero.ops.processes import Process
from superhero.plural import counted

_WORKERS = frozenset({WORKERS, FLOW})


def _child(scene: Scene) -> Steps:
    victims = [_pick_child(scene, lane) for lane in scene.rig.lanes]
    _freeze(scene, [child for _, child in victims])
    for worker, child in victims:
        _signal(child, signal.SIGKILL)
        scene.see(f"process {child} of {worker.name} died within a task", _gone(worker, child))
    scene.kills += 1
    yield


def _parent(scene: Scene) -> Steps:
    for lane in scene.rig.lanes:
        worker, child = _pick_child(scene, lane)
        _freeze(scene, [child])
        status = worker.kill9(with_children=False)
        _signal(child, signal.SIGKILL)  # frozen, it would not notice that its parent is gone
        scene.happened(f"{worker.name} of {lane.title} ended with status {status}")
    scene.kills += 1
    yield


def _all(scene: Scene) -> Steps:
    for lane in scene.rig.lanes:
        lane.workers.hold()
        workers = lane.workers.members()
        _freeze(scene, [child for worker in workers for child in worker.children()])
        for worker in workers:
            worker.kill9()
        scene.happened(f"{counted(len(workers), 'worker')} of {lane.title} killed with their children")
    scene.kills += scene.rig.ours.load.workers
    try:
        yield
    finally:
        for lane in scene.rig.lanes:
            lane.workers.release()


def _pick_child(scene: Scene, lane: Lane) -> tuple[Process, int]:
    """Return a worker and one of its children; a worker that was just restarted has none for a moment."""
    scene.see(f"{lane.title} has pool processes", lambda: _with_children(lane))
    worker = scene.rng.choice(_with_children(lane))
    return worker, scene.rng.choice(worker.children())


def _with_children(lane: Lane) -> list[Process]:
    return [worker for worker in lane.workers.members() if worker.children()]


def _freeze(scene: Scene, children: list[int]) -> None:
    """Stop pool processes, each within a task."""
    if sys.platform != "linux":
        raise NotInjected("whether a process is at a task can be seen on Linux only")
    for child in children:
        _signal(child, FREEZE)
    scene.see(f"{len(children)} are at a task", lambda: all(_is_stopped(child) for child in children))


def _signal(pid: int, number: int) -> None:
    # A poison that is still about may be faster.
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_stopped(pid: int) -> bool:
    """Tell whether a process is stopped; one that is gone needs no stopping."""
    try:
        # "pid (name, which may hold spaces) state ..."
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return True


def _gone(worker: Process, child: int) -> Callable[[], bool]:
    return lambda: child not in worker.children()


FAULTS = (
    Fault("worker-child", "kill -9 of a worker's pool process within a task", _WORKERS, _child),
    Fault("worker-parent", "kill -9 of a worker", _WORKERS, _parent),
    Fault("all-workers", "kill -9 of all workers, back later", _WORKERS, _all, hold_s=4.0),
)
