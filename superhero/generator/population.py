"""Who plays, how well, with which heroes, and when they come and go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

from superhero.game.rules import Fighter, GameState
from superhero.roster import Hero

SKILLS = ("random", "mixed", "expert")
HERO_MIXES = ("even", "popular")

Below = Callable[[int], int]
"""Dice: returns a random number from 0 to below its argument."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Habits:
    """How users behave.

    skill          random: everybody attacks whomever; expert: always the best target, with the better of two
                   heroes; mixed: each user has a skill of its own, the share of its choices that are such
    heroes         even: every hero is played alike; popular: a few are played by most
    session_games  how many games a user plays before it leaves, on the mean; 0: everybody stays
    """

    skill: str = "mixed"
    heroes: str = "even"
    session_games: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a habit that nobody has."""
        if self.skill not in SKILLS:
            raise ValueError(f"no skill is called {self.skill!r:.40}; known: {', '.join(SKILLS)}")
        if self.heroes not in HERO_MIXES:
            raise ValueError(
                f"no mix of heroes is called {self.heroes!r:.40}; known: {', '.join(HERO_MIXES)}"
            )
        if self.session_games < 0:
            raise ValueError(f"a session has no {self.session_games} games")


class Sessions:
    """Who is online. About a third of the users is, if they come and go at all."""

    def __init__(self, users: Sequence[str], smallest_crowd: int, habits: Habits, below: Below) -> None:
        """Keep at least `smallest_crowd` users online."""
        self._games = habits.session_games
        self._crowd = max(len(users) // 3, smallest_crowd) if self._games else len(users)
        self._below = below
        self._offline = list(users)
        self.online: list[str] = []

    def arrivals(self) -> list[str]:
        """Let users log in until the crowd is there; return them."""
        arrived = []
        while len(self.online) < self._crowd:
            # In their order at first; who comes back does so by chance.
            at = self._below(len(self._offline)) if self._games and self.online else 0
            arrived.append(self._offline.pop(at))
            self.online.append(arrived[-1])
        return arrived

    def line_up(self, size: int) -> list[str]:
        """Return so many different users who are online."""
        return draw(self.online, size, self._below)

    def departures(self, users: Sequence[str]) -> None:
        """Let some of those who have just played leave."""
        if not self._games:
            return
        for user in users:
            if self._below(self._games) == 0:
                self.online.remove(user)
                self._offline.append(user)


class Choices:
    """What users choose: their heroes, and whom they attack."""

    def __init__(self, heroes: Sequence[Hero], habits: Habits, run: str, below: Below) -> None:
        self._habits = habits
        self._run = run
        self._below = below
        self._bench = list(heroes)
        if habits.heroes == "popular":
            draw(self._bench, len(self._bench), below)  # who is popular differs from run to run
        self._skills: dict[str, int] = {}

    def heroes(self, users: Sequence[str]) -> list[Hero]:
        """Return a hero for each user, all different; the skilled may choose the better of two."""
        count = len(users)
        dealt = self._deal(2 * count if 2 * count <= len(self._bench) else count)
        chosen = []
        for user, first, second in zip_longest(users, dealt[:count], dealt[count:]):
            skilled = self._below(1000) < self._skill(user)
            better = second is not None and second.health * second.attack > first.health * first.attack
            chosen.append(second if skilled and better else first)
        return chosen

    def _deal(self, count: int) -> list[Hero]:
        """Return so many different heroes."""
        if self._habits.heroes == "even":
            return draw(self._bench, count, self._below)
        bench, dealt = list(self._bench), []
        for _ in range(count):
            # The square of a chance: half of the choices fall on a quarter of the heroes.
            part = self._below(1 << 20)
            dealt.append(bench.pop(len(bench) * part * part >> 40))
        return dealt

    def enemy(self, state: GameState) -> str:
        """Return whom the user to move attacks."""
        attacker, *others = state.order
        if self._below(1000) < self._skill(attacker):
            strength = state.fighters[attacker].attack
            return max(others, key=lambda user: _worth(state.fighters[user], strength))
        return others[self._below(len(others))]

    def _skill(self, user: str) -> int:
        """Return the share of a user's choices that are good ones, in thousandths."""
        if self._habits.skill != "mixed":
            return 1000 if self._habits.skill == "expert" else 0
        if user not in self._skills:
            digest = hashlib.sha256(f"{self._run}:skill:{user}".encode()).digest()
            self._skills[user] = int.from_bytes(digest[:4], "big") % 1001
        return self._skills[user]


def draw(pool: list[T], count: int, below: Below) -> list[T]:
    """Return `count` random different things of `pool`, which is left in another order."""
    for place in range(count):
        other = place + below(len(pool) - place)
        pool[place], pool[other] = pool[other], pool[place]
    return pool[:count]


def _worth(enemy: Fighter, strength: int) -> tuple[bool, int, int]:
    """Tell how good a target is: one that falls at once, then who strikes hardest, then the weakest."""
    return enemy.health <= strength, enemy.attack, -enemy.health
