"""What watching costs the game: the same bots on a server that 0, 1, 8 or 32 viewers watch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.figures import Figures, Spread, Table, Target
from benchmarks.stage import READY_S, Stage, said_by
from superhero.ops.embedded import free_port
from superhero.ops.usage import cpu_s, family

PLAYERS = 20

Run = Mapping[str, float]


def run(stage: Stage) -> Figures:
    """Let bots play in turns with so many viewers each; a fresh server each time, for it goes on watching."""
    stage.worker(stage.fresh_folder("games"))
    crowds = stage.amount_list([0, 1, 8, 32], [0, 2])
    games = stage.amount(20, 3)
    runs: dict[int, list[Run]] = {viewers: [] for viewers in crowds}
    for turn in range(stage.amount(4, 1)):
        for viewers in crowds if turn % 2 == 0 else crowds[::-1]:
            runs[viewers].append(_play(stage, viewers, games))
    return _figures(runs)


def _play(stage: Stage, viewers: int, games: int) -> Run:
    port = str(free_port())
    server = stage.start("server", [sys.executable, "-m", "superhero", "serve", "--port", port])
    server.wait_for_line("listening on ", READY_S)
    url, told = f"ws://127.0.0.1:{port}", {"messages_per_s": 0.0, "bytes_per_s": 0.0}
    crowd = None
    if viewers:
        argv = [sys.executable, "-m", "benchmarks.programs.watch_arena", url, str(viewers)]
        crowd = stage.start("viewers", argv)
        crowd.wait_for_line("watching", READY_S)
    before_s = cpu_s(family(server.pid))
    shape = ("--players", str(PLAYERS), "--games", str(games), "--seed", "7", "--json", "--url", url)
    said = stage.run("bots", [sys.executable, "-m", "superhero", "play", *shape])
    used_s = cpu_s(family(server.pid)) - before_s
    if crowd is not None:
        crowd.stop()
        told = said_by(crowd)
    server.stop()
    cpu_ms = 1000 * used_s / said["games_completed"]
    return {"rate": said["games_per_minute"], "cpu_ms": cpu_ms, "kb_per_s": told["bytes_per_s"] / 1000}


def _figures(runs: Mapping[int, Sequence[Run]]) -> Figures:
    idle = runs[0]
    rows = []
    for viewers, made in runs.items():
        rate, cpu = (Spread([each[name] for each in made]) for name in ("rate", "cpu_ms"))
        # Each beside the unwatched run of the same turn: within minutes the machine differs from itself.
        ratio = median(each["rate"] / other["rate"] for each, other in zip(made, idle, strict=True))
        told = median(each["kb_per_s"] for each in made)
        rows.append([viewers, rate.middle, rate.least, rate.most, f"{ratio:.2f}×", cpu.middle, told])
    columns = ("viewers", "games per minute", "least", "most", "of unwatched", "server's CPU ms a game")
    table = Table(
        "arena",
        "Games while the Arena is watched",
        (*columns, "kB/s a viewer"),
        rows,
        notes=[f"{PLAYERS} bots; bots, server, viewers, Redis, broker and worker share the machine's cores."],
    )
    most = rows[-1]
    target = Target(
        f"games per minute with {most[0]} viewers, of unwatched",
        "0.9×",
        str(most[4]),
        float(most[4][:-1]) >= 0.9,
    )
    return Figures([table], targets=[target])
