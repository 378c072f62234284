"""The broker dies, is away for long, refuses, or loses one or two of its three nodes."""

from __future__ import annotations

from superhero.chaos.cluster import Cluster
from superhero.chaos.faults.fault import BROKER, FLOW, Fault, NotInjected, Scene, Steps
from superhero.ops.rabbitmq import PrivateRabbit
from superhero.ops.reach import reach_amqp

_USUAL_WATERMARK = "0.4"
_USUAL_DISK_LIMIT = "50MB"
_PAUSE_TIMEOUT_S = 60.0
_RESUMED_S = 3.0  # seen on RabbitMQ 3.10.8: a node that resumed 0.1 s ago does not pause again
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
    cluster = _cluster(scene)
    node = scene.rng.choice(cluster.nodes)
    scene.happened(f"{cluster.cut_off(node)} connections between the nodes were cut")
    try:
        scene.see("the node that was cut off pauses", lambda: not _answers(node), _PAUSE_TIMEOUT_S)
        _flow_on_the_others(scene)
        yield
    finally:
        cluster.rejoin(node)


def _node_killed(scene: Scene) -> Steps:
    node = scene.rng.choice(_cluster(scene).nodes)
    node.kill9()
    scene.happened("a node was killed", kills=1)
    try:
        scene.see("it does not answer", lambda: not _answers(node))
        _flow_on_the_others(scene)
        yield
    finally:
        node.start()


def _node_killed_and_another_cut_off(scene: Scene) -> Steps:
    cluster = _cluster(scene)
    killed, cut_off = scene.rng.sample(cluster.nodes, 2)
    killed.kill9()
    scene.happened("a node was killed", kills=1)
    try:
        cut = cluster.cut_off(cut_off)
        scene.happened(f"{cut} connections of another one with the third were cut")
        scene.see("no node goes on alone", lambda: not any(map(_answers, cluster.nodes)), _PAUSE_TIMEOUT_S)
        yield
    finally:
        # In this order: the one that was killed starts only once it reaches the others.
        cluster.rejoin(cut_off)
        killed.start()


def _cluster(scene: Scene) -> Cluster:
    """Return the cluster once it is whole: a node that was cut off before takes its time to come back."""
    cluster = scene.rig.cluster
    if cluster is None:
        raise NotInjected("there is only one broker node")
    scene.see("all three nodes are up", lambda: all(map(_answers, cluster.nodes)), _PAUSE_TIMEOUT_S)
    scene.rig.pause(_RESUMED_S)
    return cluster


def _flow_on_the_others(scene: Scene) -> None:
    """Complain unless records come through while one node is away: each queue has a member on every node."""
    ours = scene.rig.ours
    since = ours.account.returned
    if scene.rig.watch(lambda: ours.account.flows(since, ours.queues), _OUTAGE_TIMEOUT_S):
        scene.happened("records came through the two others")
    else:
        scene.complaints.append(f"no record came through the two others within {_OUTAGE_TIMEOUT_S:g} s")


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
    Fault(
        "node-kill",
        "kill -9 of one of three broker nodes, and restart",
        _BROKER,
        _node_killed,
        clustered=True,
    ),
    Fault(
        "two-nodes",
        "kill -9 of one of three broker nodes while another is cut off: none may go on",
        _BROKER,
        _node_killed_and_another_cut_off,
        hold_s=2.0,
        clustered=True,
    ),
)
