"""What a fault is: a way to break something, a time for which it stays broken, and a way to heal it."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from superhero.chaos.rig import Rig
from superhero.errors import ServiceError

SEEN_TIMEOUT_S = 15.0


class NotInjected(ServiceError):
    """The fault could not be brought about here, so nothing is known of how it would be borne."""


@dataclass(slots=True)
class Scene:
    """One time that a fault is thrown, and what it tells of itself.

    kills        processes killed, those of plain Celery not counted
    evidence     how it is known to have happened
    complaints   what should have come right and did not
    promised     of simulator servers: how many records each of their producers made
    games_recovered_s   seconds until games went on and were written
    may_be_quarantined  calls of ours that belong into quarantine, or may end there
    planted      messages put into our queues that belong into quarantine, by a text that each one holds
    planted_plain  likewise those put into plain Celery's
    """

    rig: Rig
    rng: random.Random
    kills: int = 0
    evidence: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    promised: dict[str, int] = field(default_factory=dict)
    games_recovered_s: float | None = None
    may_be_quarantined: set[str] = field(default_factory=set)
    planted: list[str] = field(default_factory=list)
    planted_plain: list[str] = field(default_factory=list)

    def happened(self, what: str, kills: int = 0) -> None:
        """Note what was seen to have happened."""
        self.evidence.append(what)
        self.kills += kills

    def see(self, what: str, sign: Callable[[], object], timeout_s: float = SEEN_TIMEOUT_S) -> None:
        """Wait for the sign that the fault took hold. Raise NotInjected when it does not come."""
        if not self.rig.watch(sign, timeout_s):
            raise NotInjected(f"no sign within {timeout_s:g} s that {what}")
        self.happened(what)


PRODUCER, FLOW, BROKER, WORKERS = "producer", "flow", "broker", "workers"
REDIS, SINK, MESSAGES, GAMES = "redis", "sink", "messages", "games"
"""Parts. FLOW is that records come through at all."""

EVERYTHING = frozenset({PRODUCER, FLOW, BROKER, WORKERS, REDIS, SINK, MESSAGES, GAMES})

Steps = Generator[None, None, None]
Act = Callable[[Scene], Steps]
"""Breaks something, yields once it is seen to be broken, and heals it when it is resumed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by name.

    parts      what it touches or needs to be whole: faults that have none in common may overlap
    hold_s     seconds for which it stays
    clustered  whether it needs three broker nodes
    needs_sql  whether it needs a database
    """

    name: str
    summary: str
    parts: frozenset[str]
    act: Act
    hold_s: float = 0.0
    clustered: bool = False
    needs_sql: bool = False
