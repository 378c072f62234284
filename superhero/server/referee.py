"""Carry out what API v1 asks for: let the rules decide, the store commit, the outbox log.

Knows no sockets. Every method may be repeated after a StoreError; what the first call did, if anything, was
done whole.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from superhero import messages
from superhero.errors import BadRequest, RuleViolation, StoreError
from superhero.events import AttackMade, Event, GameCompleted, GameTimedOut
from superhero.game import rules
from superhero.game.ratings import rate
from superhero.identity import public_id
from superhero.server.outbox import Outbox
from superhero.server.snapshot import COMPLETE, OPEN, STARTED, TIMED_OUT, Snapshot, Status
from superhero.server.store import Joined, Store

Restock = Callable[[], bool]
"""Put heroes where there are none; whether it did. Blocks; may raise StoreError."""

_log = logging.getLogger(__name__)


class Referee:
    """Decides about the games of one store. `counts` says how often it logged each event."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        *,
        lobby_timeout_s: float,
        turn_timeout_s: float,
        restock: Restock,
    ) -> None:
        """Call `restock`, in a thread, when there are no heroes to be had."""
        self._store = store
        self._outbox = outbox
        self._lobby_timeout_s = lobby_timeout_s
        self._turn_timeout_s = turn_timeout_s
        self._restock = restock
        self._random = random.SystemRandom()
        self.counts: Counter[str] = Counter()

    async def login(self, request: messages.Login, may_create: Callable[[], bool]) -> dict[str, Any]:
        """Give a user its token; `may_create` is asked whether one unknown so far may be created."""
        with self._outbox.doubts():
            login = await self._store.login(request.user, may_create)
        if login is None:
            raise BadRequest(messages.TOO_MANY_NEW_USERS)
        token, created, record = login
        self._outbox.log([record])
        self.counts[record.event.name] += 1
        return messages.logged_in(token, created)

    async def find(self, request: messages.Find) -> dict[str, Any]:
        """Let a user join a game, and start it when that makes it full."""
        user = public_id(request.user_token)
        joined = await self._store.join(user, request.participants, self._lobby_timeout_s)
        if joined.word == "NO HEROES" and await asyncio.to_thread(self._restock):
            joined = await self._store.join(user, request.participants, self._lobby_timeout_s)
        match joined:
            case Joined("JOINED", str(game), int(hero_id)):
                return messages.joined(game, hero_id)
            case Joined("FULL", str(game), int(hero_id)):
                try:
                    await self._start(game)
                except StoreError as error:
                    # The user has joined all the same; whichever server is there starts it in a moment.
                    _log.warning("game %s is full and not started yet: %s", game, error)
                return messages.joined(game, hero_id)
            case Joined("ALREADY JOINED", str(game), int(hero_id)):
                details = {"GAME_TOKEN": game, "HERO_ID": hero_id}
                return messages.refused(messages.ALREADY_JOINED, details)
            case Joined("UNKNOWN USER"):
                raise BadRequest(messages.UNKNOWN_USER)
            case _:
                raise BadRequest(messages.NO_HEROES)

    async def hero(self, request: messages.AskHero) -> dict[str, Any]:
        """Tell a participant's hero."""
        hero = await self._store.hero(request.game_token, request.user_token)
        if hero is None:
            raise BadRequest(messages.UNKNOWN_GAME)
        if not hero:
            raise BadRequest(messages.NOT_IN_GAME)
        return messages.hero_spec(request.game_token, request.user_token, hero)

    async def act(self, request: messages.Act) -> dict[str, Any]:
        """Carry out an attack, if it is allowed now. Raise BadRequest or RuleViolation."""
        game, user = request.game_token, public_id(request.user_token)
        known = self._store.known(game)
        if known is not None:
            # Spares the load. The commit tells if it is outdated; so may be the reason of a refusal.
            with suppress(BadRequest, RuleViolation):
                answer = await self._attack(known, user, request)
                if answer is not None:
                    return answer
        while True:
            answer = await self._attack(await self.snapshot(game, user), user, request)
            if answer is not None:
                return answer

    async def _attack(self, before: Snapshot, user: str, request: messages.Act) -> dict[str, Any] | None:
        """Carry out an attack on the game as it was at `before`; None when it is so no more."""
        attack = _attack(before, user, request.enemy_token)
        if attack is None:
            return messages.completed(request.game_token)
        after, events = rules.apply(before.state, attack)
        moment = time.time()
        timestamp = datetime.fromtimestamp(moment, UTC).isoformat()
        made = next(event for event in events if isinstance(event, AttackMade))
        log = messages.encode(messages.attacked(made, user, timestamp)).decode()
        if not await self._commit(before, after, events, moment=moment, log=log):
            return None
        return messages.attacked(made, request.user_token, timestamp)

    async def snapshot(self, game: str, user: str) -> Snapshot:
        """Return a game as it is now, for one who is in it. Raise BadRequest for anybody else."""
        snapshot = await self._store.load(game)
        if snapshot is None:
            raise BadRequest(messages.UNKNOWN_GAME)
        if user not in snapshot.state.fighters:
            raise BadRequest(messages.NOT_IN_GAME)
        return snapshot

    async def expire(self, game: str) -> None:
        """Do what is due when a game's time is up. Of many servers that do so at a time, one does it."""
        before = await self._store.load(game)
        if before is None or not before.due:
            return
        state = before.state
        if before.status == OPEN and not before.full:
            event = GameTimedOut(game, before.size, list(state.order))
            await self._commit(before, state, [event], status=TIMED_OUT)
        elif before.status == OPEN:
            await self._start(game)
        elif state.whose_turn is not None:
            after, events = rules.apply(state, rules.Forfeit(state.whose_turn))
            await self._commit(before, after, events)

    async def _start(self, game: str) -> None:
        """Start a full game, unless somebody else has done so."""
        before = await self._store.load(game)
        if before is None or before.status != OPEN or not before.full:
            return
        fighters = list(before.state.fighters.values())
        self._random.shuffle(fighters)  # who came first has no advantage
        after, events = rules.start(game, fighters)
        await self._commit(before, after, events)

    async def _commit(
        self,
        before: Snapshot,
        after: rules.GameState,
        events: Sequence[Event],
        *,
        moment: float | None = None,
        log: str | None = None,
        status: Status | None = None,
    ) -> bool:
        """Commit a step, with the players' ratings if it ends the game, and log its events.

        False when somebody was faster, at this game or at another that ends and rates the same players.
        """
        status = status or (STARTED if after.winner is None else COMPLETE)
        completed = next((event for event in events if isinstance(event, GameCompleted)), None)
        if completed is not None:
            before_it = await self._store.ratings([standing.user for standing in completed.podium])
            events = [*events, *rate(completed, before_it)]
        with self._outbox.doubts():
            records = await self._store.commit(
                before,
                after,
                status,
                events,
                moment=time.time() if moment is None else moment,
                log=log,
                deadline_s=self._turn_timeout_s if status == STARTED else None,
            )
        if records is None:
            return False
        self._outbox.log(records)
        self.counts.update(event.name for event in events)
        return True


def _attack(before: Snapshot, user: str, enemy: str | None) -> rules.Attack | None:
    """Return the attack asked for; None when the user sees nobody standing and is right."""
    if before.status == OPEN:
        raise BadRequest(messages.NOT_STARTED)
    if enemy is None and before.status == STARTED:
        raise BadRequest(messages.OPPONENTS_STAND)
    if enemy is None and before.status == COMPLETE:
        return None
    if before.status != STARTED or enemy is None:
        raise BadRequest(messages.GAME_IS_OVER)
    # A player knows itself by its secret token; that is its own self, too.
    return rules.Attack(user, user if public_id(enemy) == user else enemy)
