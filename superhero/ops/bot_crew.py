"""Bots as child processes of a server, as many as somebody wants: the Arena's controls."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from superhero.ops.processes import Process, Processes, superhero_argv

FEWEST = 2
"""Bots that `superhero play` needs."""

STOP_S = 5.0
"""Seconds that bots have to finish their games, a little more than they take."""


class BotCrew:
    """Bots that play on one server until told otherwise. A context manager; safe from many threads.

    More bots are a further process; fewer, and the last ones go first. They log into a folder of their own,
    which goes with the crew. A secret that the server wants they take from the environment.
    """

    def __init__(self, url: str = "") -> None:
        """Let them play at `url`, which may be set until the first bots are wanted."""
        self.url = url
        self._lock = threading.Lock()
        self._processes = Processes()
        self._crews: list[tuple[Process, int]] = []
        self._folder: Path | None = None
        self._count = 0

    def playing(self) -> int:
        """Return how many play; those whose process ended are not among them."""
        return sum(players for process, players in list(self._crews) if process.running)

    def scale(self, players: int) -> None:
        """Let `players` bots play, 0 for none. Raise ServiceError when they cannot be started."""
        with self._lock:
            self._crews = [(process, size) for process, size in self._crews if process.running]
            while self.playing() > players or 0 < players - self.playing() < FEWEST:
                process, _ = self._crews.pop()
                process.stop(STOP_S)
            if players > self.playing():
                self._start(players - self.playing())

    def close(self) -> None:
        """End all of them at once: there is nothing that they could lose."""
        with self._lock:
            while self._crews:
                self._crews.pop()[0].kill9()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, players: int) -> None:
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="superhero-bots-"))
        self._count += 1
        name = f"bots-{self._count}"
        argv = superhero_argv("play", "--players", str(players), "--forever", "--url", self.url)
        process = self._processes.start(name, argv, None, self._folder / f"{name}.log")
        self._crews.append((process, players))
