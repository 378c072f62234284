"""A bot: plays as the published clients do, whatever happens to the server meanwhile.

On its turn it asks for every opponent's hero and attacks a random one with health above 0. Its choices follow
from its dice alone. Unlike the published clients it keeps a connection per endpoint, asks for all heroes at
once, and for none again that it saw at 0, as nothing heals (where a Redis that failed over has forgotten a
blow, it asks anew once it sees nobody else); unless told to behave exactly as they do.

Guarantees. What fails to get through is tried again, on the next URL, with growing pauses, for `patience_s`
without progress; then ServiceError. A bot cut off from a running game goes back into its lobby, which tells
it anew what is so. An attack whose answer was lost is not repeated: the lobby tells whether it is still the
bot's turn. Not guaranteed: a `find` whose answer was lost may have joined a game that started at once and
that the bot never hears of; there it falls by the turn timeout.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.protocol import State

from superhero import messages
from superhero.answers import NOT_NOW, Gone, NotNow, game_status, health_of, parsed, text_of
from superhero.config import without_password
from superhero.errors import ServiceError
from superhero.patience import Trouble

End = Literal["completed", "timed out", "lost"]

LOGIN, FIND, LOBBY, HERO, ACTION = (
    "/api/v1/login",
    "/api/v1/game/find",
    "/api/v1/game/lobby",
    "/api/v1/game/hero",
    "/api/v1/game/action",
)
CONNECTIONS = 4
"""Connections a bot has open at most: find, hero, action and lobby."""

_ANSWER_S = 20.0
_SILENCE_S = 30.0  # a lobby that says nothing for so long is entered anew, should a word have been lost
_LOST = (OSError, WebSocketException)
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a game ended for a bot, and how many attacks it made.

    "lost" is a game that the server no longer knows.
    """

    game_token: str
    end: End
    attacks: int


class Bot:
    """One player; `close` it. `gate` limits how many bots connect at a time, where they share it.

    `secret` is shown to every server; one that wants another is not tried again.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        dice: random.Random,
        *,
        patience_s: float = 300.0,
        as_published: bool = False,
        secret: str = "",
        gate: AbstractAsyncContextManager[Any] | None = None,
    ) -> None:
        self.name = name
        self._urls = deque(url.rstrip("/") for url in urls)
        self._random = dice.random
        self._patience_s = patience_s
        self._as_published = as_published
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._gate = gate or nullcontext()
        self._token = ""
        self._lines: dict[str, ClientConnection] = {}
        self._opponents: dict[str, bytes] = {}  # their tokens, and what asks for their heroes
        self._attacks = 0

    async def login(self, patience_s: float | None = None) -> None:
        """Get the user's token; `play` needs it. Raise ServiceError when no server lets the bot in.

        `patience_s` is for this login alone; None is the bot's own.
        """
        answer = await self._insist(LOGIN, {"USER": self.name}, patience_s)
        self._token = text_of(answer, "USER_TOKEN")
        await self._leave(LOGIN)

    async def play(self, participants: int) -> Outcome:
        """Play one game of so many. Raise ServiceError when that cannot be done or patience is at its end."""
        self._opponents, self._attacks = {}, 0
        game = await self._find(participants)
        trouble = self._trouble()
        while True:
            try:
                end = await self._watch(game, trouble)
            except Gone:
                return Outcome(game, "lost", self._attacks)
            except (*_LOST, NotNow) as error:
                self._abandon_lines()
                await trouble.pause(error)
            else:
                return Outcome(game, end, self._attacks)

    async def close(self) -> None:
        """Close every connection."""
        for path in list(self._lines):
            await self._leave(path)

    async def _find(self, participants: int) -> str:
        """Join a game; where the bot waits in one already, its first answer lost, go on with that."""
        while True:
            request = {"USER_TOKEN": self._token, "PARTICIPANTS": participants}
            answer = await self._insist(FIND, request)
            if answer.get("STATUS") == messages.UNKNOWN_USER:
                await self.login()  # Redis lost its data, and the user with it
            elif answer.get("STATUS") == messages.ALREADY_JOINED:
                return text_of(answer, "GAME_TOKEN", within="DETAILS")
            else:
                return text_of(answer, "GAME_TOKEN")

    async def _watch(self, game: str, trouble: Trouble) -> End:
        """Enter the game's lobby and move when it is the bot's turn, until the game ends."""
        lobby = await self._line(LOBBY)
        try:
            await lobby.send(self._request({"GAME_TOKEN": game, "USER_TOKEN": self._token}), text=True)
            end = await self._follow(lobby, game, trouble)
        except BaseException:
            lobby.transport.abort()
            raise
        await self._keep(LOBBY, lobby)
        return end

    async def _follow(self, lobby: ClientConnection, game: str, trouble: Trouble) -> End:
        now = asyncio.get_running_loop().time
        async with asyncio.timeout(_SILENCE_S) as silence:
            while True:
                message = parsed(await lobby.recv(decode=False))
                silence.reschedule(now() + _SILENCE_S)
                match game_status(message):
                    case "START":
                        if not self._opponents:  # else it is told anew
                            trouble.over()
                        self._meet(game, message)
                    case "USER'S TURN":
                        trouble.over()
                        await self._move(game)
                    case "COMPLETE":
                        return "completed"
                    case "TIMED OUT":
                        return "timed out"

    def _meet(self, game: str, start: dict[str, Any]) -> None:
        """Take everybody but oneself for an opponent."""
        participants = start.get("PAYLOAD", {}).get("PARTICIPANTS", [])
        self._opponents = {
            token: self._request({"GAME_TOKEN": game, "USER_TOKEN": token})
            for token in participants
            if token != self._token
        }

    async def _move(self, game: str) -> None:
        answers = await self._exchange(HERO, list(self._opponents.values()))
        standing = [
            token for token, answer in zip(self._opponents, answers, strict=True) if health_of(answer) > 0
        ]
        if not self._as_published:
            self._opponents = {token: self._opponents[token] for token in standing}
        enemy = standing[int(self._random() * len(standing))] if standing else None
        attack = {
            "GAME_TOKEN": game,
            "USER_TOKEN": self._token,
            "ENEMY_TOKEN": enemy,
            "ACTION": messages.ATTACK,
        }
        (answer,) = await self._exchange(ACTION, [self._request(attack)])
        game_status(answer)
        self._attacks += 1

    async def _insist(
        self, path: str, payload: dict[str, Any], patience_s: float | None = None
    ) -> dict[str, Any]:
        """Ask until the server can answer."""
        trouble = self._trouble(patience_s)
        while True:
            try:
                (answer,) = await self._exchange(path, [self._request(payload)])
            except _LOST as error:
                await trouble.pause(error)
                continue
            if answer.get("STATUS") not in NOT_NOW:
                return answer
            await trouble.pause(NotNow(str(answer["STATUS"])))

    async def _exchange(self, path: str, requests: Sequence[bytes]) -> list[dict[str, Any]]:
        """Send requests to an endpoint and return their answers, in order."""
        line = await self._line(path)
        try:
            async with asyncio.timeout(_ANSWER_S):
                if self._as_published:
                    answers = [await _ask(line, request) for request in requests]
                else:
                    for request in requests:
                        await line.send(request, text=True)
                    answers = [parsed(await line.recv(decode=False)) for _ in requests]
        except BaseException:
            line.transport.abort()  # a late answer must not be taken for that to another question
            raise
        await self._keep(path, line)
        return answers

    async def _line(self, path: str) -> ClientConnection:
        """Take out the connection that was kept for an endpoint, or open one."""
        line = self._lines.pop(path, None)
        return line if line is not None and line.state is State.OPEN else await self._connect(path)

    async def _keep(self, path: str, line: ClientConnection) -> None:
        """Keep a connection on which no answer is outstanding; a published client closes it."""
        self._lines[path] = line
        if self._as_published:
            await self._leave(path)

    async def _connect(self, path: str) -> ClientConnection:
        """Open a connection; after a failure the next one goes to the next URL."""
        async with self._gate:
            try:
                # Every wait has a deadline of its own, so the client sends no pings.
                return await connect(
                    f"{self._urls[0]}{path}",
                    additional_headers=self._headers,
                    compression=None,
                    proxy=None,
                    open_timeout=_ANSWER_S,
                    ping_interval=None,
                    close_timeout=2.0,
                )
            except _LOST as error:
                if isinstance(error, InvalidStatus) and error.response.status_code == _UNAUTHORIZED:
                    raise ServiceError(
                        f"{without_password(self._urls[0])} wants "
                        f"{'another secret than ours' if self._headers else 'a secret and we have none'}: "
                        "set SERVER_SECRET to the one that the server has"
                    ) from error
                self._urls.rotate(-1)
                raise

    async def _leave(self, path: str) -> None:
        line = self._lines.pop(path, None)
        if line is not None:
            await line.close()

    def _abandon_lines(self) -> None:
        for line in self._lines.values():
            line.transport.abort()
        self._lines.clear()

    def _request(self, payload: dict[str, Any]) -> bytes:
        return orjson.dumps({"PAYLOAD": payload})

    def _trouble(self, patience_s: float | None = None) -> Trouble:
        return Trouble(self.name, self._urls, self._patience_s if patience_s is None else patience_s)


async def _ask(line: ClientConnection, request: bytes) -> dict[str, Any]:
    await line.send(request, text=True)
    return parsed(await line.recv(decode=False))
