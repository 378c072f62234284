"""Play games without sockets, Redis or a clock: the same rules and records as the server's, from a seed.

`play` is a pure iterator. Everything in what it yields follows from its arguments: tokens, heroes, moves,
record ids and times. The ids are named after the seed and a digest of all other arguments but the number of
games: whoever ingests the same run twice adds nothing, a longer run adds its further games only, and a
run with other heroes or players does not get in its way.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from superhero.events import CHANNELS, Event, UserLoggedIn
from superhero.game import rules
from superhero.identity import public_id
from superhero.roster import Hero

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When a run begins unless told otherwise: never now, or the same seed would not give the same bytes."""

TICK = timedelta(milliseconds=20)
"""How long after the record before it a record is dated."""

PLAYERS = 100
MAX_PARTICIPANTS = 255

T = TypeVar("T")

_GENERATION = 1  # to be raised when the same arguments give other records than before


class Record(NamedTuple):
    """An event, the id its log record has, and when it happened (UTC)."""

    record_id: str
    time: datetime
    event: Event


def play(
    seed: int,
    games: int,
    heroes: Sequence[Hero],
    *,
    participants: tuple[int, int] = (2, 4),
    players: int = PLAYERS,
    start: datetime = START,
) -> Iterator[Record]:
    """Return what happens when `players` log in and play `games` games, one after another.

    `participants` are the smallest and largest game. A player attacks a random one of those who stand. Record
    ids are gapless per channel. Raise ValueError for arguments that make no game.
    """
    _check(heroes, participants, players, start)
    run = _Run(seed, _digest(heroes, participants, players, start), start)
    return _games(run, games, heroes, participants, players)


def _games(
    run: _Run, games: int, heroes: Sequence[Hero], participants: tuple[int, int], players: int
) -> Iterator[Record]:
    users = [public_id(run.token(f"user:{number}", 32)) for number in range(players)]
    for user in users:
        yield run.record(UserLoggedIn(user, created=True))
    smallest, largest = participants
    fighters, bench = list(users), list(heroes)
    for number in range(games):
        size = smallest + run.below(largest - smallest + 1)
        chosen = zip(run.draw(fighters, size), run.draw(bench, size), strict=True)
        line_up = [rules.Fighter(user, hero.id, hero.attack, hero.health) for user, hero in chosen]
        yield from _game(run, run.token(f"game:{number}", 16), line_up)


def _game(run: _Run, game_token: str, line_up: Sequence[rules.Fighter]) -> Iterator[Record]:
    state, events = rules.start(game_token, line_up)
    yield from map(run.record, events)
    while state.winner is None:
        attacker, *others = state.order
        state, events = rules.apply(state, rules.Attack(attacker, others[run.below(len(others))]))
        yield from map(run.record, events)


class _Run:
    """The dice, the clock and the counters of one run."""

    def __init__(self, seed: int, digest: str, start: datetime) -> None:
        self._name = f"{seed}-{digest}"
        # Of Random only random() is promised to give the same on every Python.
        self._random: Callable[[], float] = random.Random(self._name).random
        self._next_time = start.astimezone(UTC)
        self._producers = {channel: f"sim-{self._name}-{channel.rpartition('.')[2]}" for channel in CHANNELS}
        self._sequences = dict.fromkeys(CHANNELS, 0)

    def below(self, limit: int) -> int:
        """Return a random number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def draw(self, pool: list[T], count: int) -> list[T]:
        """Return `count` random different things of `pool`, which is left in another order."""
        for place in range(count):
            other = place + self.below(len(pool) - place)
            pool[place], pool[other] = pool[other], pool[place]
        return pool[:count]

    def token(self, of: str, length: int) -> str:
        """Return the hex token of something, the same in every such run."""
        return hashlib.sha256(f"{self._name}:{of}".encode()).hexdigest()[:length]

    def record(self, event: Event) -> Record:
        """Give an event its record id and its time."""
        channel, time = event.channel, self._next_time
        sequence = self._sequences[channel]
        self._sequences[channel] = sequence + 1
        self._next_time = time + TICK
        return Record(f"{self._producers[channel]}:{sequence}", time, event)


def _check(heroes: Sequence[Hero], participants: tuple[int, int], players: int, start: datetime) -> None:
    smallest, largest = participants
    if not 2 <= smallest <= largest <= MAX_PARTICIPANTS:
        raise ValueError(
            f"participants must be 2 to {MAX_PARTICIPANTS}, the smaller first, not {participants}"
        )
    if largest > players:
        raise ValueError(f"{players} players cannot play a game of {largest}")
    if largest > len(heroes):
        raise ValueError(f"{len(heroes)} heroes are too few for a game of {largest}")
    if start.tzinfo is None:
        raise ValueError(f"the start {start.isoformat()} must say its time zone")


def _digest(heroes: Sequence[Hero], participants: tuple[int, int], players: int, start: datetime) -> str:
    line_up = [(hero.id, hero.health, hero.attack) for hero in heroes]
    said = (_GENERATION, participants, players, start.astimezone(UTC).isoformat(), line_up)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:8]
