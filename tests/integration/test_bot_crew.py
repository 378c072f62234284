"""Bots as child processes: as many as wanted, none left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import WaitUntil

from superhero.ops.bot_crew import BotCrew
from superhero.ops.processes import Processes, superhero_argv


@pytest.fixture
def crew(processes: Processes, redis_url: str, tmp_path: Path) -> Iterator[BotCrew]:
    """Give the test a crew of a running server."""
    argv = superhero_argv("serve", "--port", "0", "--no-pipeline")
    server = processes.start("server", argv, {"REDIS_URL": redis_url}, tmp_path / "server.log")
    with BotCrew(server.wait_for_line(r"listening on (ws://\S+)")[1]) as running:
        yield running


def pids(crew: BotCrew) -> list[int]:
    """Return the ids of a crew's processes."""
    return [process.pid for process, _ in crew._crews if process.running]


def test_as_many_bots_play_as_are_wanted(crew: BotCrew) -> None:
    for wanted in (2, 5, 6, 4, 9, 0, 3):
        crew.scale(wanted)
        assert crew.playing() == wanted
        assert all(size >= 2 for _, size in crew._crews), "that many `superhero play` needs"


def test_bots_whose_process_died_are_started_again_by_the_next_order(
    crew: BotCrew, wait_until: WaitUntil
) -> None:
    crew.scale(4)
    (process, _) = crew._crews[0]
    process.kill9()
    wait_until(lambda: crew.playing() == 0)
    crew.scale(4)
    assert crew.playing() == 4 and pids(crew) != [process.pid]


def test_a_crew_that_is_closed_leaves_neither_processes_nor_files(crew: BotCrew) -> None:
    crew.scale(2)
    crew.scale(5)
    running, folder = pids(crew), crew._folder
    assert len(running) == 2 and folder is not None and folder.exists()
    crew.close()
    assert not folder.exists()
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
