"""From nothing to a plot: games are played, workers write them to Parquet, SQL reads it, an SVG shows it.

    python examples/ratings-plot/plot.py [FOLDER]

Run it in the project's folder, with the extras `parquet` and `query` installed. It needs neither RabbitMQ
nor Redis: both are the embedded server, for as long as it runs. FOLDER (default var/ratings-plot) is left
with the data in lake/, the answer key in expected.json and the plot, ratings.svg: how the ratings of the best
and the worst players went, game by game.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from superhero.ops.embedded import EmbeddedRedis

GAMES = 400
SHOWN = 4  # players from the top, and as many from the bottom
PATIENCE_S = 120.0
WIDTH, HEIGHT, MARGIN = 900, 480, 50
COLOURS = ("#1b7837", "#5aae61", "#7fbf7b", "#a6dba0", "#c2a5cf", "#af8dc3", "#9970ab", "#762a83")
RATINGS = f"""
    WITH places AS (
        SELECT user_token, row_number() OVER (ORDER BY arg_max(rating, games) DESC, user_token) AS place,
               count(*) OVER () AS players
        FROM PLAYERS GROUP BY user_token
    )
    SELECT place, user_token AS player, games, rating FROM PLAYERS JOIN places USING (user_token)
    WHERE place <= {SHOWN} OR place > players - {SHOWN} ORDER BY place, games
"""


def main() -> None:
    """Play, ingest, verify, ask, draw."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "var/ratings-plot").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    key, log = folder / "expected.json", folder / "worker.log"
    with EmbeddedRedis(folder / "broker") as server:
        environ = {
            **os.environ,
            "BROKER_URL": server.url(0),
            "REDIS_URL": server.url(1),
            "SINKS": f"parquet:{folder / 'lake'}",
        }
        with worker(environ, log) as writer:
            options = ("--games", str(GAMES), "--players", "20", "--seed", "7", "--shape", "daily")
            print(superhero(environ, "simulate", *options, "--answer-key", str(key)).strip())
            wait_until_ingested(environ, key, writer, log)
        rows = [json.loads(line) for line in superhero(environ, "query", RATINGS, "--json").splitlines()]
    plot = folder / "ratings.svg"
    plot.write_text(drawn(rows), encoding="utf-8")
    print(f"{GAMES} games are in {folder / 'lake'}, all that they should be; the plot is {plot}")


@contextmanager
def worker(environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a worker for as long as the block takes."""
    argv = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "tasks",
        "worker",
        "--concurrency",
        "1",
        "--loglevel",
        "INFO",
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(argv, env=environ, stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def wait_until_ingested(
    environ: Mapping[str, str], key: Path, writer: subprocess.Popen[bytes], log: Path
) -> None:
    """Wait until the sink holds all that the answer key says; that is what `verify` is for."""
    deadline = time.monotonic() + PATIENCE_S
    verify = [sys.executable, "-m", "superhero", "verify", "--expect", str(key)]
    while subprocess.run(verify, env=environ, capture_output=True, check=False).returncode != 0:
        if writer.poll() is not None:
            sys.exit(f"the worker ended: {log.read_text(encoding='utf-8').strip()[-500:]}")
        if time.monotonic() > deadline:
            sys.exit(f"the worker did not write it all within {PATIENCE_S:.0f} s; see {log}")
        time.sleep(1)


def superhero(environ: Mapping[str, str], *arguments: str) -> str:
    """Run a command and return what it prints."""
    argv = [sys.executable, "-m", "superhero", *arguments]
    return subprocess.run(argv, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout


def drawn(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the plot: a line per player, games to the right, rating upwards."""
    most: int = max(row["games"] for row in rows)
    lowest: int = min(row["rating"] for row in rows)
    highest: int = max(row["rating"] for row in rows)

    def x(games: int) -> float:
        return MARGIN + (WIDTH - 4 * MARGIN) * games / most

    def y(rating: int) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (rating - lowest) / max(highest - lowest, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="24" font-size="16">Ratings of the best and the worst, game by game</text>',
    ]
    for rating in (lowest, 1000, highest):
        parts.append(
            f'<path d="M{MARGIN},{y(rating):.1f} H{x(most):.1f}" stroke="#ddd"/>'
            f'<text x="8" y="{y(rating) + 4:.1f}">{rating}</text>'
        )
    for number, player in enumerate(dict.fromkeys(row["player"] for row in rows)):
        line = [row for row in rows if row["player"] == player]
        points = " ".join(f"{x(row['games']):.1f},{y(row['rating']):.1f}" for row in line)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        last = line[-1]
        parts.append(
            f'<text x="{x(last["games"]) + 4:.1f}" y="{y(last["rating"]) + 4:.1f}" fill="{colour}">'
            f"{last['place']}. {player[:8]}</text>"
        )
    parts.append(f'<text x="{x(most) - 40:.1f}" y="{HEIGHT - 16}">games: {most}</text></svg>')
    return "\n".join(parts)


if __name__ == "__main__":
    main()
