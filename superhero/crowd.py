"""A crowd of bots that plays in rounds: every player plays one game per round, and every game fills.

In each round the players are split by the seed into groups, and each member looks for a game of its group's
size. The server may mix the groups of one size; as many look for such a game as have room in it all the same,
also where several crowds play on one server. The next round begins when all games of a round are over.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import resource
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from superhero.client import CONNECTIONS, Bot, Outcome
from superhero.errors import ServiceError, SettingsError

GRACE_S = 3.0
"""How long games may go on after `stop`; honcho kills 5 s after it asked a process to end."""

_PAUSE_S = 5.0  # after a round in which a player failed
_OTHER_FILES = 64

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Score:
    """What was played. A game counts once, however many of its players are of this crowd.

    failed        times a player could not play its game to the end: no server, or the game was lost
    players_done  times a player saw its game end, however it did
    tokens        games completed, in the order in which they ended; empty where they are not kept
    cut_off       whether `stop` ended games that were going on
    """

    games_completed: int = 0
    games_timed_out: int = 0
    failed: int = 0
    players_done: int = 0
    attacks: int = 0
    rounds: int = 0
    seconds: float = 0.0
    cut_off: bool = False
    tokens: list[str] = field(default_factory=list)

    @property
    def games_per_minute(self) -> float:
        """Games completed per minute, from the first login to the last end."""
        return 60 * self.games_completed / self.seconds if self.seconds else 0.0

    @property
    def all_completed(self) -> bool:
        """Whether every game begun came to a winner."""
        return not (self.games_timed_out or self.failed)


class Crowd:
    """Bots that play together, in one event loop; `play` is called once."""

    def __init__(
        self,
        bots: Sequence[Bot],
        dice: random.Random,
        participants: tuple[int, int],
        *,
        keep_tokens: bool = True,
        on_outcome: Callable[[Score], None] = lambda score: None,
    ) -> None:
        check_split(len(bots), participants)
        self.score = Score()
        self._bots = list(bots)
        self._dice = dice
        self._participants = participants
        self._keep_tokens = keep_tokens
        self._on_outcome = on_outcome
        self._ended: set[str] = set()  # games of this round that were counted
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin no more rounds; games that go on have GRACE_S seconds left."""
        self._stopping.set()

    async def play(self, rounds: int | None) -> None:
        """Log in and play so many rounds, or until `stop` when None; what came of it is in `score`.

        A crowd that plays until `stop` outlives servers that are away. Another gives up when a player does,
        and raises its ServiceError.
        """
        begun = time.monotonic()
        try:
            await self._unless_stopped(self._login(forever=rounds is None))
            while not self._stopping.is_set() and (rounds is None or self.score.rounds < rounds):
                await self._unless_stopped(self._round(forever=rounds is None))
        finally:
            self.score.seconds = time.monotonic() - begun
            await asyncio.gather(*(bot.close() for bot in self._bots))

    async def _login(self, forever: bool) -> None:
        patience_s = math.inf if forever else None
        await _all(bot.login(patience_s) for bot in self._bots)

    async def _round(self, forever: bool) -> None:
        self._ended.clear()
        failed_before = self.score.failed
        groups = split(self._bots, self._participants, self._dice)
        await _all(self._one_game(bot, len(group), forever) for group in groups for bot in group)
        self.score.rounds += 1
        if self.score.failed > failed_before and forever:
            await asyncio.sleep(_PAUSE_S)

    async def _one_game(self, bot: Bot, size: int, forever: bool) -> None:
        try:
            outcome = await bot.play(size)
        except ServiceError as error:
            self.score.failed += 1
            if not forever:
                raise
            logger.warning("%s", error)
        else:
            self._count(outcome)
        self._on_outcome(self.score)

    def _count(self, outcome: Outcome) -> None:
        score = self.score
        score.players_done += 1
        score.attacks += outcome.attacks
        if outcome.end == "lost":
            score.failed += 1
        elif outcome.game_token not in self._ended:
            self._ended.add(outcome.game_token)
            if outcome.end == "timed out":
                score.games_timed_out += 1
                return
            score.games_completed += 1
            if self._keep_tokens:
                score.tokens.append(outcome.game_token)

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`; what of it is not done GRACE_S after `stop` is cut off."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait((task,), timeout=GRACE_S)
            if task.done():
                await task
            else:
                self.score.cut_off = True
        finally:
            stopping.cancel()
            task.cancel()
            await asyncio.wait((task,))


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do everything at the same time; the first error ends the rest and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def check_split(players: int, participants: tuple[int, int]) -> None:
    """Raise SettingsError when so many players cannot be split into full games of these sizes."""
    smallest, largest = participants
    if players == 0 or not _can_split(players, smallest, largest):
        sizes = f"{smallest}" if smallest == largest else f"{smallest} to {largest}"
        raise SettingsError(
            f"{players} players cannot be split into full games of {sizes}; "
            "change --players or --participants"
        )


def split(things: Sequence[T], participants: tuple[int, int], dice: random.Random) -> list[list[T]]:
    """Return all things in random groups whose sizes lie between the two `participants`."""
    smallest, largest = participants
    left = list(things)
    dice.shuffle(left)
    groups = []
    while left:
        possible = range(smallest, min(largest, len(left)) + 1)
        size = dice.choice([size for size in possible if _can_split(len(left) - size, smallest, largest)])
        groups.append([left.pop() for _ in range(size)])
    return groups


def _can_split(count: int, smallest: int, largest: int) -> bool:
    fewest_groups = -(-count // largest)
    return fewest_groups * smallest <= count


def allow_connections(players: int) -> None:
    """Let the process open as many files as so many bots need. Raise SettingsError when it may not."""
    needed = players * CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SettingsError(
            f"{players} players need {needed:,} open files and this process may open {hard:,}: "
            "raise the limit (ulimit -n) or spread the players over several processes"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
