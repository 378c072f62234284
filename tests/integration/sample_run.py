"""A run to verify: a few games, as the real pipelines and the real sink write them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from sinks import open_sink
from sinks.base import Write
from superhero.events import AttackMade, Event, GameCompleted, Standing, UserLoggedIn
from superhero.transport.envelope import Envelope
from tasks.pipelines import attacks, game_meta, game_podium, records

GAMES = 30
ATTACKS_A_GAME = 4


def writes_of(event: Event, record_id: str) -> Iterator[Write]:
    """Yield what the worker makes of an event."""
    time = "2026-01-01T00:00:00.000000Z"
    text = 'a "text" with {"event":"game.attack","message":"x"} in it'
    envelope = Envelope(
        record_id, event.channel, time, "INFO", event.channel, event.name, text, event.payload()
    )
    yield from records.records([envelope])
    if isinstance(event, AttackMade):
        yield from attacks.attacks(envelope, event)
    if isinstance(event, GameCompleted):
        yield from game_meta.game_meta(envelope, event)
        yield from game_podium.game_podium(envelope, event)


def a_run() -> Iterator[tuple[Event, str]]:
    """Yield the events of a few games with their record ids."""
    for number in range(5):
        yield UserLoggedIn(f"user{number}", True), f"sim-1-login:{number}"
    for game in range(GAMES):
        token = f"{game:016x}"
        for turn in range(ATTACKS_A_GAME):
            attack = AttackMade(token, turn + 1, "user1", "user2", 5, 20 - 5 * turn, 15 - 5 * turn)
            yield attack, f"sim-1-game:{game * ATTACKS_A_GAME + turn}"
        podium = [Standing("user1", 7, 1, 4, 20, 0), Standing("user2", 8, 2, 0, 0, 20)]
        yield GameCompleted(token, 4, "last one standing", podium), f"sim-1-lobby:{game}"


def write_run(folder: Path) -> None:
    """Write the run with the real pipelines and sink, out of order."""
    events = list(a_run())
    random.Random(7).shuffle(events)
    with open_sink(f"json:{folder}") as sink:
        for start in range(0, len(events), 20):
            sink.write([write for event in events[start : start + 20] for write in writes_of(*event)])


def edit(folder: Path, name: str, change: Callable[[list[str]], list[str]]) -> None:
    """Change the lines of a file by hand."""
    path = folder / "superhero" / name
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
