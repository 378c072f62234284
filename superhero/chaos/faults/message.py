"""Messages that come twice, in any order, that kill their worker, or that are no messages of ours at all."""

from __future__ import annotations

import json
import pickle
from contextlib import ExitStack
from itertools import count
from typing import Any

from superhero.chaos.faults.fault import BROKER, FLOW, MESSAGES, WORKERS, Fault, NotInjected, Scene, Steps
from superhero.chaos.lanes import Lane
from superhero.chaos.producer import HOSTILE_NAMES
from superhero.chaos.wire import Doubler, Planted, plant, shuffle
from superhero.plural import counted

_LEAST_SHUFFLED = 10
_PLACE = b"planted-000000"
"""What each message below holds; another text of the same length takes its place, by which it is known."""
_number = count(1)


def _doubled(scene: Scene) -> Steps:
    vhosts = [lane.vhost for lane in scene.rig.lanes]
    for vhost in vhosts:
        scene.rig.node.control("trace_on", "-p", vhost)
    try:
        with ExitStack() as stack:
            doublers = [stack.enter_context(Doubler(lane.broker_url)) for lane in scene.rig.lanes]
            scene.see("messages are sent twice", lambda: all(each.copied for each in doublers))
            yield
        scene.happened(f"{', '.join(str(each.copied) for each in doublers)} messages sent twice")
    finally:
        for vhost in vhosts:
            scene.rig.node.control("trace_off", "-p", vhost)


def _in_any_order(scene: Scene) -> Steps:
    links = scene.rig.links("worker-broker")
    for link in links:
        link.cut()
    try:
        yield
        for lane in scene.rig.lanes:
            shuffled = shuffle(lane.broker_url, lane.queues, scene.rng)
            scene.happened(f"{counted(shuffled, 'message')} of {lane.title} shuffled")
            if lane is scene.rig.ours and shuffled < _LEAST_SHUFFLED:
                raise NotInjected(f"only {counted(shuffled, 'message')} waited to be shuffled")
    finally:
        for link in links:
            link.heal()


def _poison(scene: Scene) -> Steps:
    for lane in scene.rig.lanes:
        before = _children(lane)
        process = lane.log_once("poison", 1)
        died = f"a pool process of {lane.title} died"
        scene.see(died, lambda lane=lane, before=before: before - _children(lane))  # type: ignore[misc]
        if lane is scene.rig.ours:
            scene.kills += 1  # it kills more of them, until it is stopped
            scene.may_be_quarantined |= lane.calls_of(process)
    yield


def _hostile(scene: Scene) -> Steps:
    _log_once(scene, "hostile", len(HOSTILE_NAMES))
    yield


def _huge(scene: Scene) -> Steps:
    _log_once(scene, "huge", 1)
    yield


def _log_once(scene: Scene, kind: str, number: int) -> None:
    for lane in scene.rig.lanes:
        process = lane.log_once(kind, number)
        calls = lane.calls_of(process)
        scene.happened(f"{counted(len(calls), 'record')} of kind {kind} logged to {lane.title}")
        if lane is scene.rig.ours:
            if len(calls) != number:
                raise NotInjected(f"{len(calls)} of {number} calls returned")
            scene.may_be_quarantined |= calls


def _malformed(scene: Scene) -> Steps:
    for lane in scene.rig.lanes:
        ours = lane is scene.rig.ours
        messages = [*_REFUSED, *(_CRASHING if ours else ())]
        planted = [_with_text(each, f"planted-{next(_number):06}") for each in messages]
        plant(lane.broker_url, lane.queues[0], [message for message, _ in planted])
        scene.happened(
            f"{counted(len(planted), 'message')} planted: {', '.join(each.name for each in messages)}"
        )
        (scene.planted if ours else scene.planted_plain).extend(text for _, text in planted)
    yield


def _with_text(message: Planted, text: str) -> tuple[Planted, str]:
    return Planted(message.name, message.body.replace(_PLACE, text.encode()), message.properties), text


def _children(lane: Lane) -> set[int]:
    return {child for worker in lane.workers.members() for child in worker.children()}


_JSON = {"content_type": "application/json", "content_encoding": "utf-8"}


def _task(name: object, **more: Any) -> dict[str, Any]:
    return {**_JSON, "application_headers": {"task": name, "id": "planted-000000", "lang": "py", **more}}


_ARGUMENTS = (
    b'[["planted-000000", []], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
)

_REFUSED = (
    Planted("not JSON", b"planted-000000 {[", _task("superhero.ingest")),
    Planted("bad UTF-8", b"planted-000000 \xff\xfe\x00", _task("superhero.ingest")),
    Planted("an unknown task", _ARGUMENTS, _task("no.such.task")),
    Planted("a wrong content type", b"planted-000000", {**_JSON, "content_type": "text/plain"}),
    Planted(
        "a pickle",
        pickle.dumps("planted-000000"),
        {"content_type": "application/x-python-serialize", "content_encoding": "binary"},
    ),
    Planted("unknown compression", b"planted-000000", _task("superhero.ingest", compression="no/such")),
)
"""What a plain worker acknowledges and drops."""

_CRASHING = (
    Planted("a body of another shape", b'{"planted-000000": 1}', _task("superhero.ingest")),
    Planted("a task name that is no text", _ARGUMENTS, _task(17)),
    Planted("no id", _ARGUMENTS, {**_JSON, "application_headers": {"task": "no.such.task"}}),
    Planted("no headers", json.dumps({"planted-000000": 1}).encode(), _JSON),
)
"""What ends a plain worker, and the next one, for ever: it is not shown to plain Celery."""

_MESSAGES = frozenset({MESSAGES, BROKER})

FAULTS = (
    Fault("doubled", "every message is delivered twice", frozenset({BROKER, FLOW}), _doubled, hold_s=3.0),
    Fault(
        "any-order",
        "messages come in any order",
        frozenset({BROKER, FLOW, WORKERS}),
        _in_any_order,
        hold_s=3.0,
    ),
    Fault("poison", "a record that kills its worker each time", frozenset({WORKERS, FLOW}), _poison),
    Fault("malformed", "messages that are no tasks, unknown tasks, a pickle", _MESSAGES, _malformed),
    Fault("huge-record", "a record of 10 MB", _MESSAGES, _huge),
    Fault("hostile-names", "../, NUL and Unicode in tokens that name files", _MESSAGES, _hostile),
)
