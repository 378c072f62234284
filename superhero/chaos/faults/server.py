"""What befalls games that are going on: their server dies, Redis dies, a line is cut or slow.

The games begin with the fault and end after it. How soon they were got over is measured by them: until a
record that a server logged after the end of the fault is in the sink.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from superhero.chaos.faults.fault import FLOW, GAMES, REDIS, Fault, Scene, Steps
from superhero.chaos.faults.network import line_faults
from superhero.chaos.games import LINKS, Games
from superhero.ops.reach import reach_redis
from superhero.plural import counted

_GAMES = frozenset({GAMES, REDIS, FLOW})
_PLAYING_TIMEOUT_S = 30.0
_RECOVERY_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 30.0

ActOnGames = Callable[[Scene, Games], Steps]


def _in_play(act: ActOnGames, *, keeps_state: bool = True) -> Callable[[Scene], Steps]:
    """Return a fault's act that has games going on around `act`."""

    def with_games(scene: Scene) -> Steps:
        began = datetime.now(UTC)
        with scene.rig.games() as games:
            scene.see("games are going on", games.going_on, _PLAYING_TIMEOUT_S)
            scene.see("and their records are written", lambda: games.written_since(began))
            yield from act(scene, games)
            _get_over(scene, games)
            scene.complaints += games.end(_END_TIMEOUT_S)
            if keeps_state:
                scene.promised |= games.producers
            scene.happened(f"{counted(sum(games.producers.values()), 'record')} of games")

    return with_games


def _get_over(scene: Scene, games: Games) -> None:
    began, moment = time.monotonic(), datetime.now(UTC)
    if scene.rig.watch(lambda: games.written_since(moment), _RECOVERY_TIMEOUT_S):
        scene.games_recovered_s = round(time.monotonic() - began, 2)
    else:
        scene.complaints.append(f"no record of a game was written within {_RECOVERY_TIMEOUT_S:g} s")


def _killed(scene: Scene, games: Games) -> Steps:
    scene.see("a game is going on", games.going_on)
    server = scene.rng.choice(games.servers.members())
    status = server.kill9()
    games.note_producers()
    scene.happened(f"{server.name} ended with status {status}", kills=1)
    yield


def _all_killed(scene: Scene, games: Games) -> Steps:
    games.servers.hold()
    scene.see("a game is going on", games.going_on)
    servers = games.servers.members()
    for server in servers:
        server.kill9()
    games.note_producers()
    going_on = counted(len(games.going_on()), "game")
    scene.happened(f"{counted(len(servers), 'server')} killed while {going_on} went on", len(servers))
    try:
        yield
    finally:
        games.servers.release()


def _redis_restarted(scene: Scene, games: Games) -> Steps:
    _kill_redis(scene)
    try:
        yield
    finally:
        scene.rig.redis.start()


def _redis_emptied(scene: Scene, games: Games) -> Steps:
    _kill_redis(scene)
    shutil.rmtree(scene.rig.redis.data_dir)
    scene.happened("its data was removed")
    try:
        yield
    finally:
        scene.rig.redis.start()
    games.let_bots_come_anew()


def _kill_redis(scene: Scene) -> None:
    scene.rig.redis.kill9()
    scene.happened("Redis was killed", kills=1)
    scene.see("Redis does not answer", lambda: not reach_redis(scene.rig.redis.url(), 1.0).reachable)


def _lines() -> Iterator[Fault]:
    for link in LINKS:
        for fault in line_faults(link, _GAMES):
            act = fault.act
            yield Fault(
                fault.name,
                fault.summary,
                _GAMES,
                _in_play(lambda scene, games, act=act: act(scene)),  # type: ignore[misc]
                fault.hold_s,
            )


FAULTS = (
    Fault("server-kill", "kill -9 of one of two simulator servers mid-game", _GAMES, _in_play(_killed)),
    Fault(
        "all-servers",
        "kill -9 of both simulator servers mid-game, back later",
        _GAMES,
        _in_play(_all_killed),
        hold_s=2.0,
    ),
    Fault(
        "redis-restart-in-play",
        "kill -9 of Redis mid-game, and restart with its data",
        _GAMES,
        _in_play(_redis_restarted),
        hold_s=2.0,
    ),
    Fault(
        "redis-emptied-in-play",
        "kill -9 of Redis mid-game, and restart without its data",
        _GAMES,
        _in_play(_redis_emptied, keeps_state=False),
        hold_s=2.0,
    ),
    *_lines(),
)
