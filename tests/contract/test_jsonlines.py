"""What JSON Lines promises beyond the contract: how its files look, and what it makes of other people's."""

from __future__ import annotations

import errno
import fcntl
import resource
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest
from sink_kinds import ids, podium, read_json_lines, stream

from sinks.base import Append
from sinks.durable import GROUP
from sinks.errors import TerminalSinkError, TransientSinkError
from sinks.jsonlines import JsonLinesSink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[JsonLinesSink]:
    with JsonLinesSink(tmp_path) as opened:
        yield opened


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "superhero" / "RECORDS" / "p.jsonl"


def test_a_file_per_object_and_a_file_per_producer(sink: JsonLinesSink, tmp_path: Path) -> None:
    sink.write([podium("g1"), stream("p", [0, 1], n=None), stream("q", [0])])
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    below = "superhero/"
    assert found == {f"{below}GAME_PODIUM/g1.jsonl", f"{below}RECORDS/p.jsonl", f"{below}RECORDS/q.jsonl"}
    text = (tmp_path / "superhero/RECORDS/p.jsonl").read_text()
    assert text == '{"record_id":"p:0","n":null}\n{"record_id":"p:1","n":null}\n'


def test_a_file_s_name_is_made_safe_also_where_that_failed_the_first_time(
    sink: JsonLinesSink, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write([stream("q", [0])])  # so that the folder is known
    synced: list[Path] = []

    def sync(folder: Path) -> None:
        synced.append(folder)
        if len(synced) == 1:
            raise OSError(errno.EIO, "the disk is away")

    monkeypatch.setattr("sinks.jsonlines.sync_folder", sync)
    with pytest.raises(TransientSinkError, match="the disk is away"):
        sink.write([stream("p", [0])])
    sink.write([stream("p", [0])])
    assert synced == [records.parent] * 2


def test_the_record_id_comes_first_whatever_the_rows_order(sink: JsonLinesSink, records: Path) -> None:
    sink.write([Append("RECORDS", [{"n": 1, "record_id": "p:0"}])])
    assert records.read_text() == '{"record_id":"p:0","n":1}\n'


def test_a_torn_last_line_is_cut_off_and_written_anew(sink: JsonLinesSink, records: Path) -> None:
    sink.write([stream("p", [0], n="a")])
    with records.open("a") as file:
        file.write('{"record_id":"p:1","n":"half of')
    sink.write([stream("p", [1, 2], n="a")])
    assert records.read_text().splitlines() == [f'{{"record_id":"p:{n}","n":"a"}}' for n in range(3)]


def test_a_stream_cut_in_half_is_completed_by_what_is_sent_again(sink: JsonLinesSink, records: Path) -> None:
    sink.write([stream("p", range(100))])
    whole = records.read_bytes()
    records.write_bytes(whole[: len(whole) // 2 + 7])
    sink.write([stream("p", range(100))])
    assert records.read_bytes() == whole


def test_a_file_made_anew_by_others_is_read_from_its_beginning(sink: JsonLinesSink, records: Path) -> None:
    sink.write([stream("p", range(10), text="x" * 50)])
    records.unlink()
    with JsonLinesSink(records.parents[2]) as other:
        other.write([stream("p", range(90, 120), text="y" * 50)])
    sink.write([stream("p", range(10), text="x" * 50)])
    sink.write([stream("p", range(90, 120), text="y" * 50)])
    assert len(records.read_text().splitlines()) == 40


def test_a_file_changed_in_place_is_read_from_its_beginning(sink: JsonLinesSink, records: Path) -> None:
    sink.write([stream("p", range(10), text="x" * 50)])
    others = b"".join(b'{"record_id":"p:%d","text":"by hand, and longer"}\n' % n for n in range(50, 80))
    records.write_bytes(others)
    sink.write([stream("p", [0, 50])])
    assert records.read_bytes() == others + b'{"record_id":"p:0"}\n'


def test_lines_of_others_are_let_be(sink: JsonLinesSink, records: Path) -> None:
    sink.write([stream("p", [0])])
    with records.open("a") as file:
        file.write('by hand\n{"record_id": "p:1"}\n{"n":"{\\"record_id\\":\\"p:2\\""}\n')
    sink.write([stream("p", [2])])
    assert records.read_text().splitlines()[1:3] == ["by hand", '{"record_id": "p:1"}']
    assert records.read_text().endswith('{"record_id":"p:2"}\n')


def test_a_producer_is_not_taken_for_one_whose_name_looks_alike(sink: JsonLinesSink, records: Path) -> None:
    sink.write([stream("a.b", [0]), stream("axb", [0])])
    sink.write([stream("a.b", [0]), stream("axb", [0])])
    assert ids(read_json_lines(records.parents[2], "RECORDS")) == ["a.b:0", "axb:0"]


def test_forgotten_ledgers_are_read_again(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path, max_ledgers=2) as sink:
        for _ in range(3):
            sink.write([stream(f"p{n}", range(3)) for n in range(5)])
    assert len(read_json_lines(tmp_path, "RECORDS")) == 15


def test_a_symbolic_link_is_not_written_through(sink: JsonLinesSink, records: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched\n")
    records.parent.mkdir(parents=True)
    (tmp_path / "superhero" / "GAME_PODIUM").mkdir()
    records.symlink_to(outside)
    (tmp_path / "superhero" / "GAME_PODIUM" / "g.jsonl").symlink_to(outside)
    with pytest.raises(TerminalSinkError):
        sink.write([stream("p", [0])])
    sink.write([podium("g")])
    assert outside.read_text() == "untouched\n"
    assert len(read_json_lines(tmp_path, "GAME_PODIUM")) == 2


def test_what_dead_writers_left_is_removed_and_what_living_ones_write_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "superhero" / "GAME_PODIUM"
    folder.mkdir(parents=True)
    dead, living = folder / f".g.{'0' * 16}.tmp", folder / f".g.{'1' * 16}.tmp"
    not_ours = folder / ".keep"
    for path in (dead, living, not_ours):
        path.touch()
    with living.open() as file, JsonLinesSink(tmp_path) as sink:
        fcntl.flock(file, fcntl.LOCK_EX)
        sink.write([podium("g")])
    assert {path.name for path in folder.iterdir()} == {living.name, ".keep", "g.jsonl"}


def test_a_failed_write_leaves_no_temporary_file(sink: JsonLinesSink, tmp_path: Path) -> None:
    folder = tmp_path / "superhero" / "GAME_PODIUM"
    (folder / "g70.jsonl").mkdir(parents=True)  # a rename cannot replace a folder
    with pytest.raises(TransientSinkError):
        sink.write([podium(f"g{n}") for n in range(80)])
    assert not list(folder.glob(".*"))
    (folder / "g70.jsonl").rmdir()
    sink.write([podium(f"g{n}") for n in range(80)])
    assert len(read_json_lines(tmp_path, "GAME_PODIUM")) == 160


def test_a_batch_of_many_objects_opens_few_files_at_a_time(sink: JsonLinesSink, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    beyond = next(islice((number for number in count() if number not in taken), GROUP + 16, None))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, beyond), hard))
    try:
        sink.write([podium(f"g{n}") for n in range(GROUP * 5)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(read_json_lines(tmp_path, "GAME_PODIUM")) == GROUP * 10
