"""Games over WebSocket: bots on one server and on two, from 10 players to 2,000."""

from __future__ import annotations

import sys
from statistics import median

from benchmarks.figures import Figures, Plot, Table, Target
from benchmarks.stage import READY_S, Stage
from superhero.ops.embedded import free_port

PUBLISHED = (37, 61)
"""Games per minute of the published server, 10 bots and 10 games, on such a machine; see README.md."""


def run(stage: Stage) -> Figures:
    """Start two servers and let bots play on the first or on both; the pipeline is on, its queue fills."""
    urls = [_server(stage) for _ in range(2)]
    worker_output = stage.fresh_folder("games")
    stage.worker(worker_output)
    sizes = stage.amount_list([10, 50, 200, 500, 1_000, 2_000], [10, 20])
    rows, lines = [], {}
    for servers in (1, 2):
        points = []
        for players in sizes:
            games = max(stage.amount(2_000, 20) // players, 2) if players > 10 else stage.amount(10, 2)
            said = [_play(stage, players, games, urls[:servers]) for _ in range(_repetitions(stage, players))]
            rate = median(each["games_per_minute"] for each in said)
            rows.append([servers, players, games, said[0]["games_completed"], rate])
            points.append((float(players), rate))
        lines[f"{servers} server{'s' if servers > 1 else ''}"] = points
    return _figures(rows, lines)


def _repetitions(stage: Stage, players: int) -> int:
    return stage.amount(15, 1) if players <= 10 else 1  # ten players are done within a second


def _server(stage: Stage) -> str:
    port = str(free_port())
    argv = [sys.executable, "-m", "superhero", "serve", "--host", "127.0.0.1", "--port", port]
    stage.start("server", argv).wait_for_line("listening on ", READY_S)
    return f"ws://127.0.0.1:{port}"


def _play(stage: Stage, players: int, games: int, urls: list[str]) -> dict[str, float]:
    shape = ("--players", str(players), "--games", str(games), "--seed", "7", "--json")
    where = [word for url in urls for word in ("--url", url)]
    return stage.run("bots", [sys.executable, "-m", "superhero", "play", *shape, *where])


def _figures(rows: list[list[float]], lines: dict[str, list[tuple[float, float]]]) -> Figures:
    first = rows[0][4]
    return Figures(
        tables=[
            Table(
                "simulator",
                "Games over WebSocket",
                ("servers", "players", "games each", "games completed", "games per minute"),
                rows,
                notes=[
                    f"Published server, 10 players: {PUBLISHED[0]} to {PUBLISHED[1]} games per minute.",
                    "Bots, servers, Redis, broker and worker share the machine's cores.",
                ],
            )
        ],
        plots=[
            Plot("simulator", "Games over WebSocket", "lines", "games per minute", lines, x_axis="players")
        ],
        targets=[
            Target(
                "games per minute, 10 players, of the published server's best",
                "100×",
                f"{first / PUBLISHED[1]:,.0f}×",
                first >= 100 * PUBLISHED[1],
            )
        ],
    )
