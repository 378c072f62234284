"""`superhero play` on `superhero serve`, as real processes that are stopped and killed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import WaitUntil

from superhero.ops.embedded import free_port
from superhero.ops.processes import Process, Processes, superhero_argv

pytestmark = pytest.mark.acceptance


class Arena:
    """A server on a port of its own, and bots that play on it."""

    def __init__(self, processes: Processes, redis_url: str, folder: Path) -> None:
        self.port = free_port()
        self._processes = processes
        self._env = {"REDIS_URL": redis_url, "TURN_TIMEOUT": "2", "LOBBY_TIMEOUT": "5"}
        self._folder = folder

    def serve(self) -> Process:
        """Start a server without a pipeline and wait until it listens."""
        argv = superhero_argv("serve", "--port", str(self.port), "--no-pipeline")
        server = self._start("server", argv)
        server.wait_for_line("listening on ws://")
        return server

    def play(self, *arguments: object) -> Process:
        """Start bots."""
        argv = superhero_argv("play", "--url", f"ws://127.0.0.1:{self.port}", *map(str, arguments))
        return self._start("bots", argv)

    def _start(self, name: str, argv: list[str]) -> Process:
        return self._processes.start(name, argv, self._env, self._folder / f"{name}.log")


@pytest.fixture
def arena(processes: Processes, redis_url: str, tmp_path: Path) -> Arena:
    """Give an arena nobody plays in yet."""
    return Arena(processes, redis_url, tmp_path)


def report(bots: Process) -> dict[str, Any]:
    """Return what bots print, which must be one line of JSON, but for their word that they wait."""
    lines = bots.log_path.read_text(encoding="utf-8").splitlines()
    (line,) = [each for each in lines if " waits for ws://" not in each]
    found: dict[str, Any] = json.loads(line)
    return found


def test_bots_play_every_round_and_report_in_json_alone(arena: Arena) -> None:
    arena.serve()
    bots = arena.play("--players", 10, "--games", 5, "--seed", 7, "--json")
    assert bots.wait(60) == 0
    played = report(bots)
    assert played["games_timed_out"] == played["failed"] == 0
    assert played["games_completed"] == len(set(played["game_tokens"])) >= 5 * 3
    assert played["games_per_minute"] == pytest.approx(
        60 * played["games_completed"] / played["seconds"], rel=0.1
    )


def test_bots_that_come_before_the_server_wait_for_it(arena: Arena) -> None:
    bots = arena.play("--players", 2, "--games", 1, "--json")
    arena.serve()
    assert bots.wait(60) == 0
    assert report(bots)["games_completed"] == 1


def test_bots_that_play_for_ever_end_with_a_table_when_asked_to(arena: Arena, wait_until: WaitUntil) -> None:
    server = arena.serve()
    bots = arena.play("--players", 4, "--forever")
    wait_until(lambda: games_completed(arena) > 5, timeout_s=30)
    assert bots.stop(timeout_s=15) == 0
    assert re.search(r"games completed +│ +[1-9]", bots.tail())
    assert server.running


def test_games_go_on_when_the_server_is_killed_and_another_comes(arena: Arena, wait_until: WaitUntil) -> None:
    server = arena.serve()
    bots = arena.play("--players", 8, "--games", 60, "--seed", 7, "--json")
    wait_until(lambda: games_completed(arena) > 5, timeout_s=30)
    server.kill9()
    arena.serve()
    assert bots.wait(100) in (0, 1)  # 1: a game may have timed out, its player told of it by nobody
    played = report(bots)
    assert played["failed"] == 0
    assert played["games_completed"] > 100


def test_bots_without_a_server_give_up_and_say_where_they_looked(arena: Arena) -> None:
    bots = arena.play("--players", 2, "--games", 1, "--patience", 0.5)
    assert bots.wait(30) == 2
    assert f"got no further at ws://127.0.0.1:{arena.port}" in " ".join(bots.tail().split())


def games_completed(arena: Arena) -> int:
    """Return how many games the server says were completed."""
    with httpx.Client(trust_env=False) as http:
        answer = http.get(f"http://127.0.0.1:{arena.port}/healthz").json()
    return int(answer["games"].get("game.completed", 0))
