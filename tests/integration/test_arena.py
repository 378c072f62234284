"""The Arena over HTTP and WebSocket: who is let in, what one sees, and that nobody else pays for it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import redis.asyncio as redis
from api_v1 import LOGIN, Player, ask, login
from patience import Eventually
from serving import give_heroes, serving, url_of
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from superhero import keys
from superhero.client import Bot
from superhero.crowd import Crowd
from superhero.errors import ServiceError
from superhero.identity import public_id
from superhero.server.app import GameServer
from superhero.server.arena import viewers
from superhero.server.limits import Limits

_NOTHING = object()
SECRET = "a-secret-of-this-test"
CONTROL = "another-secret-of-it"
LIVE = "/arena/live"
PULSE = {"records": {"in": 7, "out": 7, "in_per_s": 1.5, "out_per_s": 1.5, "lost": 0, "duplicated": 0}}


class Someone:
    """Stands for bots that play: remembers how many were wanted."""

    def __init__(self) -> None:
        self.players = 0
        self.broken = False

    def playing(self) -> int:
        """Return how many play."""
        return self.players

    def scale(self, players: int) -> None:
        """Let so many play."""
        if self.broken:
            raise ServiceError("no program to run, says a path that is nobody's business")
        self.players = players


@pytest.fixture(autouse=True)
def heroes(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put heroes into the test's Redis, and do not make it wait for a refusal."""
    give_heroes(redis_url)
    monkeypatch.setattr(viewers, "WRONG_SECRET_S", 0.0)


@asynccontextmanager
async def watching(server: GameServer, **headers: str) -> AsyncIterator[ClientConnection]:
    """Open a viewer's connection."""
    async with connect(f"{url_of(server)}{LIVE}", additional_headers=headers, proxy=None) as viewer:
        yield viewer


async def hear(viewer: ClientConnection, kind: str, **fields: Any) -> Any:
    """Return the next message of a type, or news of a kind, with such fields."""
    async with asyncio.timeout(20):
        while True:
            message = json.loads(await viewer.recv())
            news = message if message["type"] == kind else message.get(kind, _NOTHING)
            if news is not _NOTHING and (not fields or fields.items() <= news.items()):
                return news


async def say(viewer: ClientConnection, **message: Any) -> None:
    """Send a message."""
    await viewer.send(json.dumps(message))


async def get(server: GameServer, path: str, **headers: str) -> httpx.Response:
    """Ask for a file."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{server.port}{path}", headers=headers)


async def status_of(server: GameServer, **headers: str) -> int:
    """Return the HTTP status of a viewer's handshake."""
    try:
        async with watching(server, **headers):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def play(server: GameServer, rounds: int = 1, players: int = 4) -> None:
    """Let bots play on a server."""
    bots = [
        Bot(f"secret name {number}", [url_of(server)], random.Random(number)) for number in range(players)
    ]
    crowd = Crowd(bots, random.Random(7), (2, 2))
    await crowd.play(rounds)
    assert crowd.score.all_completed


@pytest.mark.parametrize(
    "path", ["/", "/arena", "/?x=1", "/arena/arena.js", "/arena/arena.css", "/arena/uplot.js"]
)
async def test_the_page_and_its_files_are_there_and_allow_nothing_else(redis_url: str, path: str) -> None:
    async with serving(redis_url, secret=SECRET) as server:
        answer = await get(server, path)
        assert answer.status_code == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = await get(server, path, **{"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_what_is_no_file_of_the_page_is_not_there(redis_url: str) -> None:
    async with serving(redis_url) as server:
        for path in ("/arena/", "/arena/../app.py", "/arena/pages.py", "/index.html", "/arena/%2e%2e/app.py"):
            assert (await get(server, path)).status_code == 404, path


async def test_the_page_names_nothing_from_anywhere_else(redis_url: str) -> None:
    async with serving(redis_url) as server:
        page = (await get(server, "/")).text
        assert "//" not in page.replace("<!doctype html>", "")
        assert "<style" not in page and " style=" not in page and " onclick" not in page
        assert page.count("<script") == page.count('<script src="arena/')


async def test_without_places_there_is_no_arena(redis_url: str) -> None:
    async with serving(redis_url, arena_viewers=0) as server:
        assert (await get(server, "/")).status_code == 404
        assert await status_of(server) == 404
        await login(url_of(server), "somebody")


async def test_a_viewer_sees_fights_of_every_server_on_the_same_redis(redis_url: str) -> None:
    async with serving(redis_url) as first, serving(redis_url) as second, watching(first) as viewer:
        assert (await hear(viewer, "welcome"))["server"] == first.id
        await hear(viewer, "frame")
        await play(second)
        while (frame := await hear(viewer, "frame"))["completed"] < 2:
            continue
        assert len(frame["fights"]) == 2
        for fight in frame["fights"]:
            assert fight["over"] and fight["standing"] == 1
            assert {fighter["hero"].partition(" ")[0] for fighter in fight["fighters"]} == {"Hero"}
            assert fight["winner"] in {fighter["user"] for fighter in fight["fighters"]}
        assert len((await hear(viewer, "standings", games=2))["leaders"]) == 4


async def test_nobody_s_name_or_token_is_shown(redis_url: str) -> None:
    async with serving(redis_url) as server, watching(server) as viewer:
        await hear(viewer, "frame")
        await play(server)
        tokens = [await login(url_of(server), f"secret name {number}") for number in range(4)]
        told: list[str] = []
        while '"completed":2' not in (told or [""])[-1]:
            told.append(str(await viewer.recv()))
        told.append(json.dumps(await hear(viewer, "standings", games=2)))
        everything = "".join(told)
        assert public_id(tokens[0]) in everything
        assert "secret name" not in everything
        assert not any(token in everything for token in tokens)


async def test_a_fight_that_goes_on_already_is_seen_by_who_comes_later(redis_url: str) -> None:
    async with serving(redis_url) as server:
        players = [Player(lambda: url_of(server), name) for name in ("one", "two")]
        for player in players:
            await player.join(2)
        async with watching(server) as viewer:
            while not (frame := await hear(viewer, "frame"))["fights"]:
                continue
            (fight,) = frame["fights"]
            assert fight["game"] == players[0].game and fight["turn"] == 0 and not fight["over"]
            assert [f["health"] for f in fight["fighters"]] == [f["full"] for f in fight["fighters"]]
            assert (await hear(viewer, "standings"))["under_way"] == 1


async def test_games_in_another_database_of_the_same_redis_are_not_seen(
    redis_url: str, redis_broker_url: str
) -> None:
    give_heroes(redis_broker_url)
    async with serving(redis_url) as here, serving(redis_broker_url) as there, watching(here) as viewer:
        await hear(viewer, "frame")
        await play(there)
        await play(here)
        while (frame := await hear(viewer, "frame"))["completed"] < 2:
            continue
        await hear(viewer, "standings", games=2)
        assert frame["completed"] == 2


async def test_nothing_is_listened_to_while_nobody_watches(
    redis_url: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewers, "LINGER_S", 0.0)
    monkeypatch.setattr(viewers, "STANDINGS_EVERY_S", 0.05)
    async with serving(redis_url) as server, redis.Redis.from_url(redis_url) as client:
        channel = keys.arena(int(redis_url.rpartition("/")[2]))

        async def listeners() -> int:
            return int((await client.execute_command("PUBSUB", "NUMSUB", channel))[1])

        assert await listeners() == 0
        for _ in range(2):
            async with watching(server) as viewer:
                await hear(viewer, "frame")
                await eventually(listeners)

            async def deserted() -> bool:
                return await listeners() == 0

            await eventually(deserted)


async def test_who_does_not_show_the_secret_sees_nothing(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewers, "ENTER_S", 0.2)
    async with serving(redis_url, secret=SECRET) as server:
        for message in (
            None,
            {"type": "enter"},
            {"type": "enter", "secret": "wrong"},
            {"secret": SECRET},
            [SECRET],
        ):
            async with watching(server) as viewer:
                told = [json.loads(await viewer.recv())]
                if message is not None:
                    await viewer.send(json.dumps(message))
                with pytest.raises(ConnectionClosed):
                    while True:
                        told.append(json.loads(await viewer.recv()))
                assert {each["type"] for each in told} <= {"locked", "refused"}
                assert viewer.close_code == 1008
        assert await status_of(server, Authorization="Bearer wrong") == 101, "it may show it yet"


async def test_who_shows_the_secret_is_let_in_by_message_or_by_header(redis_url: str) -> None:
    async with serving(redis_url, secret=SECRET) as server:
        async with watching(server) as viewer:
            await hear(viewer, "locked")
            await say(viewer, type="enter", secret=SECRET)
            await hear(viewer, "welcome")
        async with watching(server, Authorization=f"Bearer {SECRET}") as viewer:
            assert json.loads(await viewer.recv())["type"] == "welcome"


async def test_only_a_page_of_this_server_may_watch(redis_url: str) -> None:
    async with serving(redis_url) as server:
        assert await status_of(server) == 101
        assert await status_of(server, Origin=f"http://127.0.0.1:{server.port}") == 101
        for origin in (
            "http://evil.example",
            f"http://127.0.0.1:{server.port + 1}",
            "null",
            "http://127.0.0.1",
        ):
            assert await status_of(server, Origin=origin) == 403, origin


async def test_viewers_beyond_the_places_are_told_so_and_players_are_not_touched(redis_url: str) -> None:
    async with serving(redis_url, arena_viewers=1) as server, watching(server) as first:
        await hear(first, "welcome")
        async with watching(server) as second:
            assert json.loads(await second.recv()) == {"type": "refused", "what": "place"}
            await second.wait_closed()
            assert second.close_code == 1013
        await login(url_of(server), "somebody")


async def test_viewers_count_among_the_connections(redis_url: str, eventually: Eventually) -> None:
    async with serving(redis_url, limits=Limits(connections_per_address=1)) as server:
        async with watching(server) as viewer:
            await hear(viewer, "welcome")
            assert (await get(server, "/")).status_code == 429
            assert await status_of(server) == 429

        async def page_is_there() -> bool:
            return (await get(server, "/")).status_code == 200

        await eventually(page_is_there)


async def test_a_viewer_that_does_not_read_misses_frames_and_goes_in_the_end(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(viewers, "STUCK_S", 0.2)
    large = {"queues": [{"channel": "x" * 1_000_000}]}
    async with (
        serving(redis_url, pulse=lambda: large) as server,
        connect(f"{url_of(server)}{LIVE}", proxy=None, max_queue=1, close_timeout=0.1) as idle,
        watching(server) as keen,
    ):
        monkeypatch.setattr(viewers, "PULSE_EVERY_S", 0.02)

        async def one_watches() -> bool:
            return (await hear(keen, "standings"))["viewers"] == 1

        await eventually(one_watches, 20)
        assert idle.close_code is None, "it has read nothing, not even this"


async def test_the_pulse_is_shown_and_where_there_is_none_that_is_shown(redis_url: str) -> None:
    async with serving(redis_url, pulse=lambda: PULSE) as server, watching(server) as viewer:
        assert await hear(viewer, "pulse") == PULSE
        await hear(viewer, "pulse")
        async with watching(server) as later:
            assert (await hear(later, "welcome"))["history"][0][1:] == [1.5, 1.5]
    async with serving(redis_url) as server, watching(server) as viewer:
        assert await hear(viewer, "pulse") is None


async def test_of_the_pulse_only_what_the_page_shows_is_handed_on(redis_url: str) -> None:
    secretive = {**PULSE, "totals": {"a": 1}, "broker_url": "amqp://me:s3cret@host"}
    async with serving(redis_url, pulse=lambda: secretive) as server, watching(server) as viewer:
        assert await hear(viewer, "pulse") == PULSE


async def test_a_pulse_that_fails_takes_nothing_else_with_it(redis_url: str) -> None:
    def broken() -> dict[str, Any]:
        raise ServiceError("the broker is away")

    async with serving(redis_url, pulse=broken) as server, watching(server) as viewer:
        assert await hear(viewer, "pulse") is None
        await play(server)
        while (await hear(viewer, "frame"))["completed"] < 2:
            continue


async def test_bots_are_controlled_by_who_shows_the_secret_of_the_controls(redis_url: str) -> None:
    bots = Someone()
    async with serving(redis_url, bots=bots, arena_control=CONTROL) as server, watching(server) as viewer:
        assert (await hear(viewer, "welcome"))["control"] is True
        await say(viewer, type="bots", players=6, secret=CONTROL)
        assert await hear(viewer, "bots") == {"type": "bots", "players": 6}
        await hear(viewer, "standings", bots=6)
        for secret in (SECRET, "", None):
            await say(viewer, type="bots", players=9, secret=secret)
            await hear(viewer, "refused", what="control")
        for players in (-1, 1, 1001, "5", None, 2.5, True):
            await say(viewer, type="bots", players=players, secret=CONTROL)
            await hear(viewer, "refused", what="bots")
        assert bots.players == 6
        bots.broken = True
        await say(viewer, type="bots", players=0, secret=CONTROL)
        assert "path" not in (await hear(viewer, "refused", what="bots"))["why"]


async def test_without_a_secret_of_the_controls_nobody_controls_anything(redis_url: str) -> None:
    bots = Someone()
    async with serving(redis_url, bots=bots) as server, watching(server) as viewer:
        assert (await hear(viewer, "welcome"))["control"] is False
        await say(viewer, type="bots", players=4, secret="")
        await hear(viewer, "refused", what="control")
        assert bots.players == 0


async def test_whatever_else_a_viewer_says_is_passed_over(redis_url: str) -> None:
    async with serving(redis_url) as server, watching(server) as viewer:
        for message in ("", "{", "[]", '{"type": 5}', b"\xff\xfe"):
            await viewer.send(message, text=True)
        await hear(viewer, "pulse")
        assert await ask(url_of(server), LOGIN, USER="somebody")


async def test_a_server_with_viewers_stops_at_once(redis_url: str) -> None:
    async with serving(redis_url) as server:
        viewer = await connect(f"{url_of(server)}{LIVE}", proxy=None)
        await hear(viewer, "pulse")
        server.stop()
        async with asyncio.timeout(5):
            await viewer.wait_closed()
        assert viewer.close_code == 1001
