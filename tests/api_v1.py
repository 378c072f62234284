"""A client of API v1, written from its published description alone: a new connection for every endpoint."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

LOGIN = "/api/v1/login"
FIND = "/api/v1/game/find"
LOBBY = "/api/v1/game/lobby"
HERO = "/api/v1/game/hero"
ACTION = "/api/v1/game/action"

Message = dict[str, Any]


@asynccontextmanager
async def connected(url: str, path: str) -> AsyncIterator[ClientConnection]:
    """Open a connection to an endpoint."""
    async with connect(f"{url}{path}", proxy=None) as connection:
        yield connection


async def say(connection: ClientConnection, **payload: Any) -> None:
    """Send a request."""
    await connection.send(json.dumps({"PAYLOAD": payload}))


async def hear(connection: ClientConnection) -> Message:
    """Receive the next message, which must be a text frame."""
    text = await connection.recv()
    assert isinstance(text, str), text
    message: Message = json.loads(text)
    return message


async def ask(url: str, path: str, **payload: Any) -> Message:
    """Ask on a connection of its own."""
    async with connected(url, path) as connection:
        await say(connection, **payload)
        return await hear(connection)


async def ask_raw(url: str, path: str, message: str | bytes) -> Message:
    """Send a text frame as it is and return the answer."""
    async with connected(url, path) as connection:
        await connection.send(message, text=True)
        return await hear(connection)


async def login(url: str, name: str) -> str:
    """Return the token of a user."""
    token = (await ask(url, LOGIN, USER=name))["PAYLOAD"]["USER_TOKEN"]
    assert isinstance(token, str)
    return token


async def find(url: str, token: str, size: int) -> str:
    """Join a game and return its token."""
    answer = await ask(url, FIND, USER_TOKEN=token, PARTICIPANTS=size)
    assert answer["STATUS"] == {"JOINED": "SUCCESS"}, answer
    game = answer["PAYLOAD"]["GAME_TOKEN"]
    assert isinstance(game, str)
    return game


@dataclass
class Player:
    """One who plays as the published client does, and remembers all it was told.

    `url` is asked before every connection, so that a player may move to another server.
    """

    url: Callable[[], str]
    name: str
    pick: random.Random = field(default_factory=random.Random)
    token: str = ""
    game: str = ""
    pushed: list[Message] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)

    async def join(self, size: int) -> None:
        """Log in, if need be, and find a game."""
        self.token = self.token or await login(self.url(), self.name)
        self.game = await find(self.url(), self.token, size)

    async def play(self) -> str:
        """Play the game joined, to its end; return how it ended: COMPLETE or TIMED OUT."""
        async with connected(self.url(), LOBBY) as lobby:
            await say(lobby, GAME_TOKEN=self.game, USER_TOKEN=self.token)
            opponents: list[str] = []
            while True:
                message = await hear(lobby)
                self.pushed.append(message)
                assert message["PAYLOAD"]["GAME_TOKEN"] == self.game, message
                match message["STATUS"]["GAME"]:
                    case "START":
                        opponents = [
                            each for each in message["PAYLOAD"]["PARTICIPANTS"] if each != self.token
                        ]
                    case "USER'S TURN":
                        self.answers.append(await self._move(opponents))
                    case ("COMPLETE" | "TIMED OUT") as end:
                        return str(end)
                    case other:
                        raise AssertionError(f"an unknown push: {other}")

    async def _move(self, opponents: list[str]) -> Message:
        async with connected(self.url(), HERO) as connection:
            standing = []
            for opponent in opponents:
                await say(connection, GAME_TOKEN=self.game, USER_TOKEN=opponent)
                answer = await hear(connection)
                self.answers.append(answer)
                if answer["PAYLOAD"]["HERO"]["health"] > 0:
                    standing.append(opponent)
        return await ask(
            self.url(),
            ACTION,
            GAME_TOKEN=self.game,
            USER_TOKEN=self.token,
            ENEMY_TOKEN=self.pick.choice(standing) if standing else None,
            ACTION="ATTACK",
        )
