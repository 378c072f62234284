"""Servers as real processes: one is killed in the middle of games, and nothing of them is lost or doubled."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from api_v1 import Player
from kombu import Connection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from superhero.events import CHANNELS, GameCompleted, GameStarted, PlayerRated
from superhero.ops.processes import Process, Processes, superhero_argv
from superhero.transport.topology import channel_queue

if TYPE_CHECKING:
    from conftest import Eventually, WaitUntil

pytestmark = [pytest.mark.rabbitmq, pytest.mark.acceptance]

GAMES, SIZE = 6, 3


@pytest.fixture
def serve(
    processes: Processes, redis_url: str, broker_url: str, tmp_path: Path
) -> Callable[[str], tuple[Process, str]]:
    """Return what starts a server by name, and gives the process and its URL."""

    def start(name: str) -> tuple[Process, str]:
        process = processes.start(
            name,
            superhero_argv("serve", "--port", "0"),
            {"REDIS_URL": redis_url, "BROKER_URL": broker_url, "TURN_TIMEOUT": "20"},
            tmp_path / f"{name}.log",
        )
        return process, process.wait_for_line(r"listening on (ws://\S+)")[1]

    return start


def drain(broker_url: str) -> list[dict[str, Any]]:
    """Take every envelope out of the channels' queues."""
    envelopes: list[dict[str, Any]] = []
    with Connection(broker_url) as connection:
        for channel in CHANNELS:
            queue = channel_queue(channel)(connection.default_channel)
            while (message := queue.get()) is not None:
                envelopes += json.loads(message.body)[0][1]
                message.ack()
    return envelopes


def records(envelopes: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    """Return the payloads of an event, each record id once, as a sink does."""
    return list({each["id"]: each["payload"] for each in envelopes if each["event"] == event}.values())


async def play_through(player: Player) -> str:
    """Play to the end, sitting down again wherever the player is pointed to when a server is gone."""
    while True:
        try:
            return await player.play()
        except (ConnectionClosed, InvalidHandshake, OSError):
            player.pushed.append({"STATUS": {"GAME": "LOST"}})


async def test_games_of_a_server_killed_in_the_middle_are_completed_on_another_and_recorded_once(
    serve: Callable[[str], tuple[Process, str]],
    broker_url: str,
    eventually: Eventually,
    wait_until: WaitUntil,
) -> None:
    doomed, doomed_url = serve("doomed")
    other, other_url = serve("other")
    urls = [doomed_url, other_url]
    pick = random.Random(7)
    players = [
        Player(lambda: pick.choice(urls), f"player {number}", random.Random(number))
        for number in range(GAMES * SIZE)
    ]
    for player in players:
        await player.join(SIZE)
    playing = [asyncio.create_task(play_through(player)) for player in players]
    await eventually(lambda: sum(len(player.answers) for player in players) > 20, 20)
    doomed.kill9()
    urls.remove(doomed_url)
    assert await asyncio.wait_for(asyncio.gather(*playing), 60) == ["COMPLETE"] * len(players)
    assert any(message["STATUS"]["GAME"] == "LOST" for player in players for message in player.pushed)

    found: list[dict[str, Any]] = []

    def all_recorded() -> bool:
        found.extend(drain(broker_url))
        completions = records(found, GameCompleted.name)
        # The last ones of the killed server leave no gap behind them: only the completions tell of those.
        attacks = sum(each["attacks"] for each in completions)
        complete = len(completions) == GAMES and len(records(found, "game.attack")) == attacks
        complete = complete and len(records(found, PlayerRated.name)) == GAMES * SIZE
        return complete and not missing(found)

    await asyncio.to_thread(wait_until, all_recorded, 30, 0.2)
    games = Counter(each["game_token"] for each in records(found, GameCompleted.name))
    assert games == Counter({player.game for player in players})
    assert Counter(each["game_token"] for each in records(found, GameStarted.name)) == games
    played = [user for each in records(found, GameStarted.name) for user in each["users"]]
    assert Counter(each["user"] for each in records(found, PlayerRated.name)) == Counter(played)
    for completion in records(found, GameCompleted.name):
        attacks = [
            each for each in records(found, "game.attack") if each["game_token"] == completion["game_token"]
        ]
        assert sorted(each["turn"] for each in attacks) == list(range(1, completion["attacks"] + 1))
    assert other.running


def missing(envelopes: list[dict[str, Any]]) -> list[str]:
    """Return the producers in whose records there is a gap."""
    sequences: dict[str, set[int]] = {}
    for each in envelopes:
        producer, _, sequence = each["id"].rpartition(":")
        sequences.setdefault(producer, set()).add(int(sequence))
    return [producer for producer, numbers in sequences.items() if numbers != set(range(len(numbers)))]


async def test_sigterm_ends_a_server_that_has_sent_all_it_logged(
    serve: Callable[[str], tuple[Process, str]], broker_url: str, redis_url: str
) -> None:
    server, url = serve("server")
    players = [Player(lambda: url, name) for name in ("one", "two")]
    for player in players:
        await player.join(2)
    assert await asyncio.gather(*(player.play() for player in players)) == ["COMPLETE"] * 2
    async with httpx.AsyncClient(trust_env=False) as http:
        report = (await http.get(f"http{url.removeprefix('ws')}/healthz")).json()
    assert await asyncio.to_thread(server.stop, 15) == 0
    envelopes = drain(broker_url)
    assert len(envelopes) == report["transport"]["emitted"]
    assert not missing(envelopes)
    assert len(records(envelopes, GameCompleted.name)) == 1


def test_a_port_that_is_taken_is_told_in_a_sentence(
    serve: Callable[[str], tuple[Process, str]], processes: Processes, redis_url: str, tmp_path: Path
) -> None:
    _, url = serve("first")
    second = processes.start(
        "second",
        superhero_argv("serve", "--no-pipeline", "--port", url.rpartition(":")[2]),
        {"REDIS_URL": redis_url},
        tmp_path / "second.log",
    )
    assert second.wait(20) == 2
    assert "cannot listen on 127.0.0.1:" in second.tail() and "Traceback" not in second.tail()
