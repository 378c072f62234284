"""Throw faults at a rig, one after the other or by chance, and see how long each takes to be got over.

The run is cut into windows: one begins with every fault, or with two that overlap, and ends where the next
one begins. What becomes of the records logged in a window is laid to its faults.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from superhero.chaos.calls import CHANNELS
from superhero.chaos.faults.fault import Fault, Scene
from superhero.chaos.lanes import Lane
from superhero.chaos.rig import Rig
from superhero.errors import ServiceError

LEAD_S = 1.0
RECOVERY_TIMEOUT_S = 90.0
_PLAIN_TIMEOUT_S = 20.0
_RECORDS_TIMEOUT_S = 600.0
_OVERLAP_CHANCE = 0.3
_PAUSE_S = (1.0, 6.0)

Say = Callable[[str], None]
"""Called with what happens next, a few words."""


@dataclass(slots=True)
class Window:
    """What was thrown, and how it was got over.

    begins       per lane: how many calls had returned when it began
    recovered_s  per lane: seconds from the end of the faults until records logged after that were written on
                 every channel; None when that did not come
    not_injected why a fault could not be brought about, "" when all were
    """

    faults: tuple[Fault, ...]
    scenes: tuple[Scene, ...]
    begins: dict[str, int]
    recovered_s: dict[str, float | None] = field(default_factory=dict)
    not_injected: str = ""

    @property
    def kills(self) -> int:
        """Processes killed, those of plain Celery not counted."""
        return sum(scene.kills for scene in self.scenes)


def each_once(
    rig: Rig, faults: Sequence[Fault], records: int, hold_factor: float, seed: int, say: Say
) -> list[Window]:
    """Throw each fault once, each while `records` records at least are logged."""
    windows = []
    for number, fault in enumerate(faults, start=1):
        say(f"{number} of {len(faults)}: {fault.name}")
        rng = random.Random(f"{seed} {fault.name}")
        window = _throw(rig, (fault,), rng, fault.hold_s * hold_factor, min(LEAD_S, hold_factor))
        begin = window.begins[rig.ours.title]
        rig.watch(lambda begin=begin: rig.ours.account.returned - begin >= records, _RECORDS_TIMEOUT_S)  # type: ignore[misc]
        windows.append(window)
    return windows


def by_chance(
    rig: Rig, faults: Sequence[Fault], minutes: float, hold_factor: float, seed: int, say: Say
) -> list[Window]:
    """Throw faults for some minutes as `seed` has it: which ones, when, for how long, which two at once."""
    rng = random.Random(seed)
    ends = time.monotonic() + minutes * 60
    windows: list[Window] = []
    for chosen in draw(rng, faults):
        left_s = ends - time.monotonic()
        if left_s <= 0:
            break
        names = " + ".join(fault.name for fault in chosen)
        say(f"{left_s / 60:.1f} min left, {sum(w.kills for w in windows)} kills so far: {names}")
        hold_s = max(fault.hold_s for fault in chosen) * hold_factor * rng.uniform(0.5, 2.0)
        windows.append(_throw(rig, chosen, rng, hold_s, LEAD_S))
        rig.pause(rng.uniform(*_PAUSE_S))
    return windows


def draw(rng: random.Random, faults: Sequence[Fault]) -> Iterator[tuple[Fault, ...]]:
    """Yield faults for ever: all of them in random order, then all again, so that none is left out."""
    while True:
        for fault in rng.sample(faults, len(faults)):
            others = [other for other in faults if not other.parts & fault.parts]
            overlap = bool(others) and rng.random() < _OVERLAP_CHANCE
            yield (fault, rng.choice(others)) if overlap else (fault,)


def _throw(rig: Rig, faults: tuple[Fault, ...], rng: random.Random, hold_s: float, lead_s: float) -> Window:
    scenes = tuple(Scene(rig, rng) for _ in faults)
    rig.watch(lambda: True, 0)
    window = Window(faults, scenes, {lane.title: lane.account.returned for lane in rig.lanes})
    rig.pause(lead_s)
    acts = [fault.act(scene) for fault, scene in zip(faults, scenes, strict=True)]
    try:
        for act in acts:
            next(act)
        rig.pause(hold_s)
        for act in reversed(acts):
            next(act, None)
    except ServiceError as reason:
        window.not_injected = str(reason)
    finally:
        for act in acts:
            act.close()
    window.recovered_s = _recovery(rig)
    _add_games(window, rig.ours)
    return window


def _add_games(window: Window, ours: Lane) -> None:
    """Let a window count as got over only when its games are, too."""
    took = window.recovered_s[ours.title]
    of_games = [scene.games_recovered_s for scene in window.scenes if scene.games_recovered_s is not None]
    if took is not None and of_games:
        window.recovered_s[ours.title] = max(took, *of_games)


def _recovery(rig: Rig) -> dict[str, float | None]:
    """Wait until every lane flows again, plain Celery's not for as long as ours, and return the seconds."""
    began = time.monotonic()
    marks = {lane.title: lane.account.returned for lane in rig.lanes}
    took: dict[str, float | None] = dict.fromkeys(marks)

    def over() -> bool:
        passed = time.monotonic() - began
        for lane in rig.lanes:
            if took[lane.title] is None and _flows(lane, marks[lane.title]):
                took[lane.title] = round(passed, 2)
        return took[rig.ours.title] is not None and (None not in took.values() or passed > _PLAIN_TIMEOUT_S)

    rig.watch(over, RECOVERY_TIMEOUT_S)
    return took


def _flows(lane: Lane, since: int) -> bool:
    return lane.account.flows(since, CHANNELS)
