"""The broker dies, is away for long, refuses, or loses one of its three nodes."""

from __future__ import annotations

from superhero.chaos.faults.fault import BROKER, FLOW, Fault, NotInjected, Scene, Steps
from superhero.ops.rabbitmq import PrivateRabbit
from superhero.ops.reach import reach_amqp

_USUAL_WATERMARK = "0.4"
_USUAL_DISK_LIMIT = "50MB"
_PAUSE_TIMEOUT_S = 60.0
_OUTAGE_TIMEOUT_S = 60.0


def _killed(scene: Scene) -> Steps:
    scene.rig.node.kill9()
    scene.happened("the broker was killed", kills=1)
    scene.see("the broker does not answer", lambda: not _answers(scene.rig.node))
    try:
        yield
    finally:
        scene.rig.node.start()


def _stopped(scene: Scene) -> Steps:
    scene.rig.node.stop()
    scene.see("the broker does not answer", lambda: not _answers(scene.rig.node))
    try:
        yield
    finally:
        scene.rig.node.start()


def _away_for_long(scene: Scene) -> Steps:
    ours = scene.rig.ours
    scene.rig.node.stop()
    try:
        scene.see("the broker does not answer", lambda: not _answers(scene.rig.node))
        logged = ours.account.returned
        scene.see(
            f"more than the {ours.memory_records} records that memory holds are logged",
            lambda: ours.account.returned - logged > ours.memory_records,
            _OUTAGE_TIMEOUT_S,
        )
        yield
    finally:
        scene.rig.node.start()


def _memory_alarm(scene: Scene) -> Steps:
    scene.rig.node.control("set_vm_memory_high_watermark", "0.00001")
    try:
        scene.see("the memory alarm is raised", lambda: "memory" in _alarms(scene.rig.node))
        yield
    finally:
        scene.rig.node.control("set_vm_memory_high_watermark", _USUAL_WATERMARK)


def _disk_alarm(scene: Scene) -> Steps:
    scene.rig.node.control("set_disk_free_limit", "1000000GB")
    try:
        scene.see("the disk alarm is raised", lambda: "disk" in _alarms(scene.rig.node))
        yield
    finally:
        scene.rig.node.control("set_disk_free_limit", _USUAL_DISK_LIMIT)


def _node_cut_off(scene: Scene) -> Steps:
    cluster = scene.rig.cluster
    if cluster is None:
        raise NotInjected("there is only one broker node to cut off")
    node = scene.rng.choice(cluster.nodes)
    scene.happened(f"{cluster.cut_off(node)} connections between the nodes were cut")
    try:
        scene.see("the node that was cut off pauses", lambda: not _answers(node), _PAUSE_TIMEOUT_S)
        yield
    finally:
        cluster.rejoin(node)


def _answers(node: PrivateRabbit) -> bool:
    return reach_amqp(node.url(), timeout_s=1.0).reachable


def _alarms(node: PrivateRabbit) -> str:
    return node.control("eval", "rabbit_alarm:get_alarms().")


_BROKER = frozenset({BROKER, FLOW})

FAULTS = (
    Fault("broker-kill", "kill -9 of the broker, and restart", _BROKER, _killed, hold_s=1.0),
    Fault("broker-restart", "the broker is shut down and restarted", _BROKER, _stopped, hold_s=0.0),
    Fault(
        "broker-outage",
        "the broker is stopped for longer than the memory buffer lasts",
        _BROKER,
        _away_for_long,
    ),
    Fault("memory-alarm", "the broker refuses: memory alarm", _BROKER, _memory_alarm, hold_s=3.0),
    Fault("disk-alarm", "the broker refuses: disk alarm", _BROKER, _disk_alarm, hold_s=3.0),
    Fault(
        "node-cut-off",
        "one of three broker nodes is cut off from the others",
        _BROKER,
        _node_cut_off,
        hold_s=4.0,
        clustered=True,
    ),
)
