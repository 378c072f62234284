"""Keep the games in Redis: every change of a game is one atomic step, committed or not at all.

A move is read (`load`: the game and its version, one round trip), decided by the rules, and committed
(`commit`: compare and set on that version, one round trip). Nothing else changes a game once it is full, and
`join` alone changes an open one. The scripts in scripts/ say what each does.

Driver errors come out as StoreError. After one the outcome of a step is not known: it may have been
committed; whoever needs to know loads the game again, and the outbox finds its events (outbox.py).

Redis Cluster is not supported: a step touches keys of a game, of all games and of its server, which live
in different slots. Sentinel is (redis_clients.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from types import TracebackType
from typing import Any, Self

import orjson
from redis.exceptions import NoScriptError, RedisError

from superhero import keys
from superhero.config import without_password
from superhero.errors import StoreError
from superhero.events import Event, UserLoggedIn
from superhero.game.ratings import Rating
from superhero.game.rules import GameState
from superhero.identity import new_game_token, new_user_token, public_id
from superhero.server.known import KnownGames
from superhero.server.link import Link
from superhero.server.records import Producers, Record, read_entry
from superhero.server.snapshot import Snapshot, Status, changed, read_rating, step

DEAD_AFTER_S = 10.0
"""Seconds without a sign of life after which a server is taken for dead."""

START_GRACE_S = 2.0
"""Seconds that the server of the last one to join has to start the game before any server does."""

_SCRIPTS = ("login", "join", "load", "commit", "hero", "due", "live", "settle")
_DUE_AT_A_TIME = 500
_IDS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class Joined:
    """How a join went: `word` is JOINED, FULL, ALREADY JOINED, NO HEROES or UNKNOWN USER.

    FULL: the user joined as the last. The token and hero id are None unless the user is in the game.
    """

    word: str
    game_token: str | None = None
    hero_id: int | None = None


class Store:
    """The games in one Redis, for one server process. An async context manager; safe from many tasks.

    arena  the channel on which every step is told
    """

    def __init__(self, redis_url: str, server: str) -> None:
        self.server = server
        self._url = redis_url
        self._producers = Producers(server)
        self._link = Link(redis_url)
        self._known = KnownGames()
        # Channels know no databases, and games of several may share a Redis.
        self.arena = keys.arena(self._link.database)
        self._scripts = {name: _read_script(name) for name in _SCRIPTS}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._link.close()

    async def ping(self) -> None:
        """Return if Redis answers, else raise StoreError."""
        await self._call("PING")

    async def login(
        self, name: str, may_create: Callable[[], bool] = lambda: True
    ) -> tuple[str, bool, Record] | None:
        """Return a user's token, whether it was made up now, and the record of the login.

        `may_create` is asked when there is no such user; None when it says no.
        """
        while True:
            known = await self._call("HGET", keys.users(), name)
            if known is None and not may_create():
                return None
            token = known or new_user_token()
            event = UserLoggedIn(public_id(token), created=known is None)
            moment = time.time()
            ids = await self._run(
                "login",
                [keys.users(), keys.known_users(), keys.counters(self.server), keys.outbox(self.server)],
                [name, token, event.user, orjson.dumps(self._producers.entries([event], moment))],
            )
            # None: somebody else created the name meanwhile; it has a token now.
            if ids is not None:
                return token, event.created, self._producers.records(ids, [event], moment)[0]

    async def join(self, user: str, size: int, lobby_timeout_s: float) -> Joined:
        """Let a user (public id) join an open game of `size`, or a new one."""
        of_game = [
            keys.members("<game>"),
            keys.participants("<game>"),
            keys.status("<game>"),
            keys.host("<game>"),
            keys.heroes_taken("<game>"),
            keys.order("<game>"),
            keys.version("<game>"),
            keys.fighter("<game>", user),
        ]
        word, *rest = await self._run(
            "join",
            [
                keys.known_users(),
                keys.superheros(),
                keys.open_games(size),
                keys.players(size),
                keys.joined(),
                keys.deadlines(),
                *of_game,
            ],
            [user, size, new_game_token(), lobby_timeout_s, START_GRACE_S],
        )
        return Joined(word, rest[0], int(rest[1])) if rest else Joined(word)

    async def load(self, game: str) -> Snapshot | None:
        """Return a game as it is now, or None when there is none."""
        reply = await self._run(
            "load",
            [
                keys.version(game),
                keys.status(game),
                keys.participants(game),
                keys.order(game),
                keys.fallen(game),
                keys.logs(game),
                keys.deadlines(),
                keys.fighter(game, "<user>"),
            ],
            [game],
        )
        return None if reply is None else Snapshot.from_reply(game, reply)

    async def ratings(self, users: Sequence[str]) -> dict[str, Rating]:
        """Return what users (public ids) are rated now."""
        ratings = await self._call("HMGET", keys.ratings(), *users)
        return {user: read_rating(text) for user, text in zip(users, ratings, strict=True)}

    def known(self, game: str) -> Snapshot | None:
        """Return a running game as this server committed it last; `commit` will tell if it is so no more."""
        return self._known.get(game, self._link.wire)

    async def commit(
        self,
        before: Snapshot,
        after: GameState,
        status: Status,
        events: Sequence[Event],
        *,
        moment: float,
        log: str | None = None,
        deadline_s: float | None = None,
    ) -> list[Record] | None:
        """Commit one step from `before`; return its records to be logged, None when somebody was faster.

        A player whom the step rates must still be rated as its event says that it was.

        moment      unix time in seconds at which it happened
        log         the attack's answer as JSON, for the game's log
        deadline_s  seconds from now until the game must be looked at; None: never again
        """
        game = after.game_token
        if self._known.is_void(before, self._link.wire):  # the connection was lost while the step was decided
            self._known.forget(game)
            return None
        fields = step(before, after, status, events, log, deadline_s)
        fields["events"] = self._producers.entries(events, moment)
        ids = await self._run(
            "commit",
            [
                keys.version(game),
                keys.status(game),
                keys.order(game),
                keys.fallen(game),
                keys.logs(game),
                keys.deadlines(),
                keys.open_games(before.size),
                keys.feed(game),
                keys.counters(self.server),
                keys.outbox(self.server),
                keys.ratings(),
                *(keys.fighter(game, fighter.user) for fighter in changed(before.state, after)),
            ],
            [game, before.version, orjson.dumps(fields), self.arena],
        )
        if ids is None:
            self._known.forget(game)
            return None
        snapshot = replace(before, version=before.version + 1, status=status, due=False, state=after)
        self._known.committed(snapshot, self._link.wire)
        return self._producers.records(ids, events, moment)

    async def hero(self, game: str, token: str) -> dict[str, int] | None:
        """Return id, attack and health of whom `token`, secret or public, stands for.

        Empty when that is nobody in the game, None when there is no such game.
        """
        reply = await self._run(
            "hero",
            [keys.participants(game), keys.fighter(game, token), keys.fighter(game, public_id(token))],
            [],
        )
        if not reply:
            return None if reply is None else {}
        return {"id": int(reply[0]), "attack": int(reply[1]), "health": int(reply[2])}

    async def due(self) -> tuple[list[str], float | None]:
        """Return games whose deadline has passed, and the seconds until the next one passes, if any."""
        wait_ms, *games = await self._run("due", [keys.deadlines()], [_DUE_AT_A_TIME])
        return games, None if wait_ms < 0 else wait_ms / 1000

    async def live(self, others: Sequence[str]) -> str | None:
        """Give a sign of life for this server and the `others` it took over; return a dead one, if any."""
        dead = await self._run("live", [keys.servers()], [DEAD_AFTER_S, self.server, *others])
        return None if dead is None else str(dead)

    async def outbox_ids(self, server: str) -> AsyncGenerator[list[str], None]:
        """Yield, page by page, the record ids of what a server committed and nobody knows to be safe.

        Pages, so that neither Redis nor our event loop stands still for a large outbox. In no order; what
        changes meanwhile may be there or not, and an id may come twice.
        """
        cursor = 0
        while True:
            reply = await self._call("HSCAN", keys.outbox(server), cursor, "COUNT", _IDS_AT_A_TIME)
            cursor, page = int(reply[0]), reply[1]
            yield page[::2]  # ids and entries in turns
            if cursor == 0:
                return

    async def outbox(self, server: str, ids: Sequence[str]) -> AsyncIterator[list[Record]]:
        """Yield, page by page and in the order of `ids`, those of the records that stand in the outbox."""
        for start in range(0, len(ids), _IDS_AT_A_TIME):
            some = ids[start : start + _IDS_AT_A_TIME]
            entries = zip(some, await self._call("HMGET", keys.outbox(server), *some), strict=True)
            yield [read_entry(record_id, entry) for record_id, entry in entries if entry is not None]

    async def settle(self, server: str, ids: Sequence[str], *, ended: bool) -> None:
        """Forget events of a server that are safe, and one that has `ended` once nothing of it is left."""
        of_server = [keys.outbox(server), keys.counters(server), keys.servers()]
        for start in range(0, max(len(ids), 1), _IDS_AT_A_TIME):
            some = ids[start : start + _IDS_AT_A_TIME]
            await self._run("settle", of_server, [server, int(ended), *some])

    async def _run(self, name: str, keys_used: Sequence[str], arguments: Sequence[Any]) -> Any:
        script, digest = self._scripts[name]
        try:
            return await self._link.call("EVALSHA", digest, len(keys_used), *keys_used, *arguments)
        except NoScriptError:
            return await self._call("EVAL", script, len(keys_used), *keys_used, *arguments)
        except (RedisError, OSError) as error:
            raise self._store_error(error) from error

    async def _call(self, *command: Any) -> Any:
        try:
            return await self._link.call(*command)
        except (RedisError, OSError) as error:
            raise self._store_error(error) from error

    def _store_error(self, error: Exception) -> StoreError:
        return StoreError(f"Redis at {without_password(self._url)}: {error or type(error).__name__}")


def _read_script(name: str) -> tuple[str, str]:
    folder = resources.files("superhero.server") / "scripts"
    script = "".join((folder / f"{each}.lua").read_text(encoding="utf-8") for each in ("prelude", name))
    return script, hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
