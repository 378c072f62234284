"""What a sink promises when writers die, disks fill up and places are taken: nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sink_kinds import KINDS, ON_DISK, Child, Kind, ids, podium, run_child, stream

from sinks import open_sink
from sinks.base import Write
from sinks.errors import TerminalSinkError, TransientSinkError

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
on_disk = pytest.mark.parametrize("kind", ON_DISK, ids=lambda kind: kind.name)

BATCH: list[Write] = [
    podium("g1"),
    podium("g2"),
    podium("g1", "GAME_META"),
    stream("p", range(4)),
    stream("q", [0]),
]
RECORD_IDS = ["p:0", "p:1", "p:2", "p:3", "q:0"]
MOST_STEPS = 200
SCENARIOS = Path(__file__).resolve().with_name("sink_scenarios.py")


@every_kind
def test_a_writer_killed_at_any_step_leaves_nothing_half_and_the_next_one_completes_it(
    kind: Kind, tmp_path: Path
) -> None:
    for step in steps(kind):
        folder = tmp_path / str(step)
        status = run_child(kind.url(folder), BATCH, die_at=step)
        assert len(kind.read(folder, "GAME_PODIUM")) in (0, 2, 4), f"half an object after step {step}"
        with open_sink(kind.url(folder)) as sink:
            sink.write(BATCH)
        assert len(kind.read(folder, "GAME_PODIUM")) == 4, f"killed at step {step}"
        assert len(kind.read(folder, "GAME_META")) == 2, f"killed at step {step}"
        assert ids(kind.read(folder, "RECORDS")) == RECORD_IDS, f"killed at step {step}"
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert kind.calls < step < MOST_STEPS - kind.stride, "the steps were not all gone through"


@every_kind
def test_a_writer_killed_while_it_adds_to_a_stream_takes_nothing_from_others(
    kind: Kind, tmp_path: Path
) -> None:
    url = kind.url(tmp_path)
    with open_sink(url) as sink:
        sink.write([stream("p", range(10))])
        added = []
        for step in steps(kind):
            if run_child(url, [stream("p", range(5, 20))], die_at=step) == 0:
                break
            added.append(1000 + step)
            sink.write([stream("p", added[-1:])])
    assert ids(kind.read(tmp_path, "RECORDS")) == ids(stream("p", [*range(20), *added]).rows)


@every_kind
def test_writers_killed_in_the_midst_of_others_cost_nothing(kind: Kind, tmp_path: Path) -> None:
    url = kind.url(tmp_path)
    batches: list[list[Write]] = [
        [stream("p", range(start, start + 50)), podium("g")] for start in range(0, 200, 10)
    ]
    steady = [Child(url, batch, times=5) for batch in batches[::5]]
    dying = [
        Child(url, batch, times=5, die_at=step) for step, batch in zip(kind.deaths, batches[1:5], strict=True)
    ]
    for child in (*steady, *dying):
        child.go()
    assert [child.wait() for child in steady] == [0] * len(steady)
    assert [child.wait() for child in dying] == [-signal.SIGKILL] * len(dying)
    with open_sink(url) as sink:
        for batch in batches:
            sink.write(batch)
    assert ids(kind.read(tmp_path, "RECORDS")) == ids(stream("p", range(240)).rows)
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 2


@on_disk
def test_a_place_below_a_file_is_transient_and_succeeds_once_the_file_is_gone(
    kind: Kind, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.write_text("not a folder")
    with open_sink(kind.url(in_the_way)) as sink:
        with pytest.raises(TransientSinkError, match="data"):
            sink.write(BATCH)
        in_the_way.unlink()
        sink.write(BATCH)
    assert ids(kind.read(in_the_way, "RECORDS")) == RECORD_IDS


@on_disk
def test_a_file_that_may_not_grow_is_transient_and_holds_whole_rows_only(kind: Kind, tmp_path: Path) -> None:
    said = play("file_limit", kind, tmp_path)
    assert said[0].startswith("transient")
    assert said[-1] == "100 100 whole"


@on_disk
def test_a_full_disk_is_transient_and_the_batch_succeeds_once_there_is_room(
    kind: Kind, tmp_path: Path
) -> None:
    first, *_, while_full, last = play("full_disk", kind, tmp_path, on_a_disk_of_its_own=True)
    assert first.startswith("transient")
    rows, different, objects = while_full.split(maxsplit=2)
    assert rows == different
    assert int(rows) >= 10
    assert objects == "whole"
    assert last == "2000 2000 whole"


@on_disk
def test_a_read_only_folder_is_transient_and_the_batch_succeeds_once_it_is_writable(
    kind: Kind, tmp_path: Path
) -> None:
    said = play("read_only", kind, tmp_path, on_a_disk_of_its_own=True)
    assert [line.split(":")[0] for line in said] == ["transient", "transient", "2 2 whole"]


def steps(kind: Kind) -> Iterator[int]:
    """Yield the calls at which a writer dies: all of them, or some where a process is slow to begin."""
    yield from range(random.randint(1, kind.stride), MOST_STEPS, kind.stride)


def play(scene: str, kind: Kind, folder: Path, *, on_a_disk_of_its_own: bool = False) -> list[str]:
    """Play a scene of sink_scenarios.py in a process of its own and return the lines it prints."""
    argv = [sys.executable, str(SCENARIOS), scene, kind.name, str(folder)]
    if on_a_disk_of_its_own:
        mount = 'mount -t tmpfs -o size=512k tmpfs "$0" && exec "$@"'
        argv = [*private_mounts(), "sh", "-c", mount, str(folder), *argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=SCENARIOS.parents[2])
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def private_mounts() -> list[str]:
    """Return a command prefix under which mounts are one's own, or skip where the system does not let us."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    argv = ["unshare", *as_root, "--mount", "--propagation", "private"]
    try:
        probe = subprocess.run(
            [*argv, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True
        )
    except OSError as error:
        pytest.skip(f"no private mounts here: {error}")
    if probe.returncode:
        pytest.skip(f"no private mounts here: {probe.stderr.strip()}")
    return argv


@every_kind
def test_a_row_beyond_all_limits_does_not_spoil_what_stands(kind: Kind, tmp_path: Path) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with open_sink(kind.url(tmp_path)) as sink:
        sink.write(BATCH)
        with pytest.raises(TerminalSinkError):
            sink.write([stream("p", [9], value=deep)])
    assert ids(kind.read(tmp_path, "RECORDS")) == RECORD_IDS
