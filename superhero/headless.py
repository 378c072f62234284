"""Play games without sockets, Redis or a clock: the same rules and records as the server's, from a seed.

`play` is a pure iterator. Everything in what it yields follows from its arguments: tokens, heroes, moves,
record ids and times. The ids are named after the seed and a digest of all other arguments but the number of
games: whoever ingests the same run twice adds nothing, a longer run adds its further games only, and a
run with other heroes or players does not get in its way.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from superhero.events import CHANNELS, Event, GameCompleted, UserLoggedIn
from superhero.game import rules
from superhero.game.ratings import Ratings
from superhero.generator.population import Choices, Habits, Sessions
from superhero.generator.rates import Rate
from superhero.identity import public_id
from superhero.roster import Hero, listing

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When a run begins unless told otherwise: never now, or the same seed would not give the same bytes."""

PLAYERS = 100
MAX_PARTICIPANTS = 255

_GENERATION = 2  # to be raised when the same arguments give other records than before


class Record(NamedTuple):
    """An event, the id its log record has, and when it happened (UTC).

    `instead` is what the record carries in place of its event's payload; None: the payload as it is.
    """

    record_id: str
    time: datetime
    event: Event
    instead: Mapping[str, Any] | None = None

    def payload(self) -> Mapping[str, Any]:
        """Return what the record carries."""
        return self.event.payload() if self.instead is None else self.instead


def play(
    seed: int,
    games: int,
    heroes: Sequence[Hero],
    *,
    participants: tuple[int, int] = (2, 4),
    players: int = PLAYERS,
    start: datetime = START,
    rate: Rate = Rate(),  # noqa: B008  # frozen
    habits: Habits = Habits(),  # noqa: B008  # frozen
    variant: str = "",
) -> Iterator[Record]:
    """Return what happens when `players` log in and play `games` games, one after another.

    `participants` are the smallest and largest game. First the heroes are listed. Record ids are gapless per
    channel. `variant` is whatever else sets the run apart, such as what is done to its records later. Raise
    ValueError for arguments that make no game.
    """
    _check(heroes, participants, players, start)
    run = _Run(seed, _digest(heroes, participants, players, start, rate, habits, variant), start, rate)
    return _games(run, games, heroes, participants, players, habits)


def _games(
    run: _Run,
    games: int,
    heroes: Sequence[Hero],
    participants: tuple[int, int],
    players: int,
    habits: Habits,
) -> Iterator[Record]:
    smallest, largest = participants
    users = [public_id(run.token(f"user:{number}", 32)) for number in range(players)]
    sessions = Sessions(users, largest, habits, run.below)
    choices = Choices(heroes, habits, run.name, run.below)
    ratings, known = Ratings(), set[str]()
    yield from map(run.record, listing(heroes))
    for number in range(max(games, 1)):
        for user in sessions.arrivals():
            yield run.record(UserLoggedIn(user, created=user not in known))
            known.add(user)
        if number == games:
            break  # there are no games, and everybody is there for them
        size = smallest + run.below(largest - smallest + 1)
        playing = sessions.line_up(size)
        chosen = zip(playing, choices.heroes(playing), strict=True)
        line_up = [rules.Fighter(user, hero.id, hero.attack, hero.health) for user, hero in chosen]
        events = _game(run.token(f"game:{number}", 16), line_up, choices, ratings)
        yield from map(run.record, events)
        sessions.departures(playing)


def _game(
    game_token: str, line_up: Sequence[rules.Fighter], choices: Choices, ratings: Ratings
) -> Sequence[Event]:
    """Return all that happens in one game. At once, as a generator within another costs with every item."""
    state, events = rules.start(game_token, line_up)
    while state.winner is None:
        state, more = rules.apply(state, rules.Attack(state.order[0], choices.enemy(state)))
        events += more
    completed = events[-1]
    if isinstance(completed, GameCompleted):
        events += ratings.played(completed)
    return events


class _Run:
    """The dice, the clock and the counters of one run."""

    def __init__(self, seed: int, digest: str, start: datetime, rate: Rate) -> None:
        self.name = f"{seed}-{digest}"
        # Of Random only random() is promised to give the same on every Python.
        self._random: Callable[[], float] = random.Random(self.name).random
        self._next_time = start.astimezone(UTC)
        self._rate = rate
        self._even_gap = rate.gap(self._next_time) if rate.shape == "constant" else None
        self._producers = {channel: f"sim-{self.name}-{channel.rpartition('.')[2]}" for channel in CHANNELS}
        self._sequences = dict.fromkeys(CHANNELS, 0)

    def below(self, limit: int) -> int:
        """Return a random number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def token(self, of: str, length: int) -> str:
        """Return the hex token of something, the same in every such run."""
        return hashlib.sha256(f"{self.name}:{of}".encode()).hexdigest()[:length]

    def record(self, event: Event) -> Record:
        """Give an event its record id and its time."""
        channel, time = event.channel, self._next_time
        sequence = self._sequences[channel]
        self._sequences[channel] = sequence + 1
        self._next_time = time + (self._even_gap or self._rate.gap(time))
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


def _digest(
    heroes: Sequence[Hero],
    participants: tuple[int, int],
    players: int,
    start: datetime,
    rate: Rate,
    habits: Habits,
    variant: str,
) -> str:
    line_up = [(hero.id, hero.name, hero.health, hero.attack) for hero in heroes]
    said = (
        _GENERATION,
        participants,
        players,
        start.astimezone(UTC).isoformat(),
        (rate.per_second, rate.shape),
        (habits.skill, habits.heroes, habits.session_games),
        variant,
        line_up,
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()[:8]
