"""The line between any two parts is cut, stalls or is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from superhero.chaos.faults.fault import (
    BROKER,
    FLOW,
    PRODUCER,
    REDIS,
    WORKERS,
    Act,
    Fault,
    NotInjected,
    Scene,
    Steps,
)
from superhero.chaos.proxy import Link

_PARTS = {
    "producer-broker": frozenset({PRODUCER, BROKER, FLOW}),
    "worker-broker": frozenset({WORKERS, BROKER, FLOW}),
    "worker-redis": frozenset({WORKERS, REDIS, FLOW}),
}
_LATENCY_S = 0.2
_BYTES_PER_S = 20_000.0


def on_link(name: str, break_it: Callable[[Link], int], done: str) -> Act:
    """Return what does something to each lane's link of that name, and heals it."""

    def act(scene: Scene) -> Steps:
        links = scene.rig.links(name)
        touched = [link for link in links if _connected(scene, link) and break_it(link) > 0]
        try:
            if links[0] not in touched:
                raise NotInjected(f"no connection stood on {name}")
            scene.happened(", ".join(f"{link.name}: {done}" for link in touched))
            yield
        finally:
            for link in links:
                link.heal()

    return act


def _connected(scene: Scene, link: Link) -> bool:
    return scene.rig.watch(lambda: link.connections, timeout_s=5.0)


def line_faults(link: str, parts: frozenset[str]) -> Iterator[Fault]:
    """Return the faults of the line of that name."""
    between = link.replace("-", " and ")
    cut = on_link(link, Link.cut, "connections reset")
    stall = on_link(link, Link.stall, "nothing passes")
    slow = on_link(link, lambda each: each.slow(_LATENCY_S, _BYTES_PER_S), "slowed")
    yield Fault(f"cut-{link}", f"the network between {between} is cut", parts, cut, hold_s=3.0)
    yield Fault(f"stall-{link}", f"between {between} nothing passes", parts, stall, hold_s=5.0)
    slowness = f"{_LATENCY_S * 1000:.0f} ms, {_BYTES_PER_S / 1000:.0f} kB/s"
    yield Fault(f"slow-{link}", f"a slow line between {between}: {slowness}", parts, slow, hold_s=4.0)


FAULTS = tuple(fault for link, parts in _PARTS.items() for fault in line_faults(link, parts))
