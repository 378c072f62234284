"""Compaction: fewer files, the same objects, each once, whoever reads, writes or dies meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from sink_kinds import podium, stream

from sinks import open_sink
from superhero.errors import StoreError
from superhero.ops.compaction import compact
from superhero.ops.objects import Objects, damaged, layout_of

DATASET = "GAME_PODIUM"
CHILD = Path(__file__).with_name("compact_child.py")
ROOT = Path(__file__).resolve().parents[2]
MOST_STEPS = 200


def write(folder: Path, *numbers: int) -> None:
    """Write games as the workers do."""
    with open_sink(f"json:{folder}") as sink:
        sink.write([podium(f"g{number}") for number in numbers])


def games(folder: Path) -> Counter[str]:
    """Return how many rows there are of each game, as a reader sees them."""
    found: Counter[str] = Counter()
    for path in layout_of(folder, DATASET).paths:
        found.update(json.loads(line)["game_token"] for line in path.read_text().splitlines())
    return found


def whole(*numbers: int) -> Counter[str]:
    """Return `games` of these games."""
    return Counter({f"g{number}": 2 for number in numbers})


def small_files(folder: Path) -> int:
    """Return how many objects have a file of their own."""
    return len(list((folder / "superhero" / DATASET).glob("*.jsonl")))


def test_many_files_become_few_and_hold_the_same(tmp_path: Path) -> None:
    write(tmp_path, *range(100))
    before = {key: Objects(tmp_path, DATASET).read(key) for key in Objects(tmp_path, DATASET).keys()}  # noqa: SIM118
    done = compact(tmp_path, DATASET, grace_s=0)
    assert done is not None
    assert (done.objects, done.segments, done.removed) == (100, 1, 100)
    assert small_files(tmp_path) == 0
    objects = Objects(tmp_path, DATASET)
    assert {key: objects.read(key) for key in objects.keys()} == before  # noqa: SIM118
    assert games(tmp_path) == whole(*range(100))


def test_segments_grow_until_they_are_full_and_are_never_touched_again(tmp_path: Path) -> None:
    folder = tmp_path / "superhero" / DATASET / "_compacted"
    seen: set[str] = set()
    for first in range(0, 40, 4):
        write(tmp_path, *range(first, first + 4))
        compact(tmp_path, DATASET, grace_s=0, segment_bytes=500)
        segments = {path.name: path for path in folder.glob("*.jsonl")}
        full = {name for name, path in segments.items() if path.stat().st_size >= 500}
        assert seen <= full
        assert len(segments) - len(full) <= 1
        seen = full
        assert games(tmp_path) == whole(*range(first + 4))
    assert seen


def test_nothing_new_is_nothing_to_do(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    compact(tmp_path, DATASET, grace_s=0)
    manifest = tmp_path / "superhero" / DATASET / "_compacted" / "manifest.json"
    before = manifest.stat().st_ino
    done = compact(tmp_path, DATASET, grace_s=0)
    assert done is not None
    assert (done.objects, manifest.stat().st_ino) == (0, before)


def test_an_object_that_is_written_again_counts_once(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    compact(tmp_path, DATASET, grace_s=0)
    write(tmp_path, 2, 3)
    assert small_files(tmp_path) == 2
    assert games(tmp_path) == whole(1, 2, 3)
    compact(tmp_path, DATASET, grace_s=0)
    assert small_files(tmp_path) == 0
    assert games(tmp_path) == whole(1, 2, 3)


def test_files_stay_for_their_grace(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    compact(tmp_path, DATASET, grace_s=60)
    write(tmp_path, 3)
    done = compact(tmp_path, DATASET, grace_s=60)
    assert done is not None
    assert (done.objects, done.removed, small_files(tmp_path)) == (0, 0, 3)
    manifest = tmp_path / "superhero" / DATASET / "_compacted" / "manifest.json"
    os.utime(manifest, (1, 1))
    done = compact(tmp_path, DATASET, grace_s=60)
    assert done is not None
    assert (done.objects, done.removed, small_files(tmp_path)) == (1, 2, 1)
    assert games(tmp_path) == whole(1, 2, 3)


def test_a_run_killed_at_any_step_loses_and_doubles_nothing_and_the_next_one_completes_it(
    tmp_path: Path,
) -> None:
    for step in range(1, MOST_STEPS):
        folder = tmp_path / str(step)
        write(folder, *range(4))
        compact(folder, DATASET, grace_s=0, segment_bytes=200)
        write(folder, *range(2, 8))
        argv = [sys.executable, str(CHILD), str(folder), DATASET, str(step)]
        status = subprocess.run(argv, cwd=ROOT, timeout=60, check=False).returncode
        assert games(folder) == whole(*range(8)), f"killed at step {step}"
        assert not damaged(folder, DATASET)
        compact(folder, DATASET, grace_s=0, segment_bytes=200)
        assert games(folder) == whole(*range(8)), f"after step {step}"
        assert small_files(folder) == 0
        left = {path.stem for path in (folder / "superhero" / DATASET / "_compacted").iterdir()}
        assert "unfinished" not in left
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert 15 < step < MOST_STEPS - 1, "the steps were not all gone through"


def test_readers_see_every_object_once_while_others_write_and_compact(tmp_path: Path) -> None:
    write(tmp_path, 0)
    over, written = Event(), [0]

    def keep_writing() -> None:
        for number in range(1, 150):
            write(tmp_path, number, max(number - 20, 0))
            written[0] = number

    def keep_compacting() -> None:
        while not over.is_set():
            compact(tmp_path, DATASET, grace_s=0, segment_bytes=2000)

    with ThreadPoolExecutor(2) as pool:
        writer, compactor = pool.submit(keep_writing), pool.submit(keep_compacting)
        looks = 0
        while not writer.done() or not looks:
            acknowledged = written[0]
            try:
                seen = games(tmp_path)
            except FileNotFoundError:
                continue  # there is no grace here: a look that took too long is taken again
            looks += 1
            assert set(seen.values()) == {2}
            assert seen.keys() >= whole(*range(acknowledged + 1)).keys()
        over.set()
        writer.result()
        compactor.result()
    assert games(tmp_path) == whole(*range(150))


def test_another_run_is_waited_for_by_doing_nothing(tmp_path: Path) -> None:
    write(tmp_path, 1)
    compact(tmp_path, DATASET, grace_s=0)
    with (tmp_path / "superhero" / DATASET / "_compacted" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert compact(tmp_path, DATASET, grace_s=0) is None


def test_streams_and_files_cut_by_hand_are_left_alone(tmp_path: Path) -> None:
    with open_sink(f"json:{tmp_path}") as sink:
        sink.write([stream("p", range(3))])
    done = compact(tmp_path, "RECORDS", grace_s=0)
    assert done is not None
    assert done.segments == 0
    assert not (tmp_path / "superhero" / "RECORDS" / "_compacted").exists()
    write(tmp_path, 1, 2)
    cut = tmp_path / "superhero" / DATASET / "g2.jsonl"
    cut.write_bytes(cut.read_bytes()[:-5])
    compact(tmp_path, DATASET, grace_s=0)
    assert small_files(tmp_path) == 1


def test_a_segment_that_somebody_changed_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    compact(tmp_path, DATASET, grace_s=0)
    [path] = (tmp_path / "superhero" / DATASET / "_compacted").glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"game_token":"g9"}\n')
    assert damaged(tmp_path, DATASET) == [path]
    path.unlink()
    assert damaged(tmp_path, DATASET) == [path]


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"version": 9}', '{"version": 1, "segments": [{}]}'])
def test_a_manifest_that_is_damaged_is_told_and_nothing_is_done(tmp_path: Path, text: str) -> None:
    write(tmp_path, 1)
    compact(tmp_path, DATASET, grace_s=0)
    write(tmp_path, 2)
    (tmp_path / "superhero" / DATASET / "_compacted" / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        compact(tmp_path, DATASET, grace_s=0)
    assert small_files(tmp_path) == 1
