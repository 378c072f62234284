"""What a bot says, on a server that plays by a script."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from superhero.client import Bot, Outcome

ME, GAME = "a" * 32, "b" * 16
OTHERS = [f"{number:016x}" for number in range(5)]


class Script:
    """A server of one game, in which the bot has `turns` turns and its opponents the health given."""

    def __init__(
        self, healths: Mapping[str, int], turns: int, refuse: Mapping[str, Any] | None = None
    ) -> None:
        self.healths = healths
        self.turns = turns
        self.refuse = dict(refuse or {})
        self.asked: list[str] = []
        self.attacked: list[str | None] = []
        self.connections: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve the script."""
        async with serve(self._session, "127.0.0.1", 0, compression=None) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield

    async def _session(self, connection: ServerConnection) -> None:
        path = connection.request.path if connection.request else ""
        endpoint = path.rpartition("/")[2]
        self.connections.append(endpoint)
        async for message in connection:
            assert isinstance(message, str), "requests are text frames"
            payload = json.loads(message)["PAYLOAD"]
            if endpoint in self.refuse:
                await _say(connection, {"PAYLOAD": {}, "STATUS": self.refuse.pop(endpoint)})
            elif endpoint == "lobby":
                await self._push_game(connection)
            else:
                await _say(connection, self._answer(endpoint, payload))

    def _answer(self, endpoint: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        match endpoint:
            case "login":
                return {"PAYLOAD": {"USER_TOKEN": ME}}
            case "find":
                return {"PAYLOAD": {"GAME_TOKEN": GAME, "HERO_ID": 1}, "STATUS": {"JOINED": "SUCCESS"}}
            case "hero":
                token = payload["USER_TOKEN"]
                self.asked.append(token)
                hero = {"token": token, "id": 1, "attack": 1, "health": self.healths[token]}
                return {"PAYLOAD": {**payload, "HERO": hero}, "STATUS": {"GAME": "HERO SPEC"}}
            case _:
                assert (payload["ACTION"], payload["USER_TOKEN"]) == ("ATTACK", ME)
                self.attacked.append(payload["ENEMY_TOKEN"])
                return {"TIMESTAMP": "now", "PAYLOAD": {}, "STATUS": {"ACTION": "ATTACK", "DETAILS": {}}}

    async def _push_game(self, connection: ServerConnection) -> None:
        everybody = [ME, *self.healths]
        start = {"GAME_TOKEN": GAME, "PARTICIPANTS": everybody, "PARTICIPANTS_HEROS": {}}
        await _say(connection, {"PAYLOAD": start, "STATUS": {"GAME": "START"}})
        for status in [*["USER'S TURN"] * self.turns, "COMPLETE"]:
            await _say(connection, {"PAYLOAD": {"GAME_TOKEN": GAME}, "STATUS": {"GAME": status}})
        self.turns = 0


async def _say(connection: ServerConnection, message: Mapping[str, Any]) -> None:
    await connection.send(json.dumps(message))


async def play(script: Script, seed: int = 1, *, games: int = 1, as_published: bool = False) -> list[Outcome]:
    async with script.running():
        bot = Bot("bot", [script.url], random.Random(seed), as_published=as_published)
        await bot.login()
        outcomes = [await bot.play(6) for _ in range(games)]
        await bot.close()
    return outcomes


async def test_a_bot_asks_once_for_whoever_has_fallen_and_attacks_only_who_stands() -> None:
    script = Script({**dict.fromkeys(OTHERS, 0), OTHERS[1]: 5, OTHERS[3]: 1}, turns=20)
    assert await play(script) == [Outcome(GAME, "completed", 20)]
    assert script.asked == OTHERS + [OTHERS[1], OTHERS[3]] * 19
    assert set(script.attacked) == {OTHERS[1], OTHERS[3]}


async def test_a_published_client_asks_for_every_opponent_on_each_turn() -> None:
    script = Script({**dict.fromkeys(OTHERS, 0), OTHERS[1]: 5}, turns=3)
    await play(script, as_published=True)
    assert script.asked == OTHERS * 3


async def test_the_same_dice_make_the_same_choices() -> None:
    attacked = []
    for seed in (1, 1, 2):
        script = Script(dict.fromkeys(OTHERS, 5), turns=20)
        await play(script, seed)
        attacked.append(script.attacked)
    assert attacked[0] == attacked[1] != attacked[2]


async def test_a_bot_that_sees_nobody_stand_says_so() -> None:
    script = Script(dict.fromkeys(OTHERS, 0), turns=1)
    await play(script)
    assert script.attacked == [None]


async def test_a_bot_keeps_its_connections_from_game_to_game() -> None:
    script = Script(dict.fromkeys(OTHERS, 5), turns=3)
    await play(script, games=3)
    assert sorted(script.connections) == ["action", "find", "hero", "lobby", "login"]


async def test_a_published_client_opens_a_connection_for_every_request() -> None:
    script = Script(dict.fromkeys(OTHERS, 5), turns=3)
    await play(script, as_published=True)
    assert sorted(script.connections) == ["action"] * 3 + ["find"] + ["hero"] * 3 + ["lobby", "login"]


@pytest.mark.parametrize("endpoint", ["login", "find", "lobby", "hero", "action"])
async def test_a_server_that_cannot_answer_now_is_asked_again(endpoint: str) -> None:
    script = Script(dict.fromkeys(OTHERS, 5), turns=1, refuse={endpoint: "GAME STATE NOT AVAILABLE"})
    (outcome,) = await play(script)
    assert outcome.end == "completed"
    assert script.refuse == {}


async def test_a_game_that_the_server_no_longer_knows_is_lost() -> None:
    script = Script(dict.fromkeys(OTHERS, 5), turns=1, refuse={"lobby": "UNKNOWN GAME"})
    assert await play(script) == [Outcome(GAME, "lost", 0)]
