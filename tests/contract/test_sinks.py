"""What every sink promises (sinks/base.py): a row stands there once, whoever wrote it, and however often."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sink_kinds import KINDS, Child, Kind, ids, podium, stream

from sinks import open_sink
from sinks.base import Append, Put, Sink, Write
from sinks.errors import SinkError, TerminalSinkError, UnsafeName

pytestmark = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc/x",
    "a\\b",
    "a\0b",
    ".hidden",
    "-rf",
    "héros",
    "a b",
    "a\n",
    "x" * 201,
]


@pytest.fixture
def sink(kind: Kind, tmp_path: Path) -> Iterator[Sink]:
    with open_sink(kind.url(tmp_path)) as opened:
        yield opened


def test_a_batch_comes_out_as_it_went_in(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "record_id": "p:0",
        "text": "héros",
        "none": None,
        "list": [1, 2.5, True],
        "object": {"a": {}},
    }
    sink.write([podium("g1"), Append("RECORDS", [row])])
    assert kind.read(tmp_path, "GAME_PODIUM") == list(podium("g1").rows)
    assert kind.read(tmp_path, "RECORDS") == [row]


def test_the_same_batch_twice_is_the_same_as_once(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    batch: list[Write] = [podium("g1"), podium("g2"), stream("p", range(10))]
    sink.write(batch)
    sink.write(batch)
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 4
    assert ids(kind.read(tmp_path, "RECORDS")) == ids(stream("p", range(10)).rows)


def test_rows_come_once_though_batches_overlap_in_any_order(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    rng = random.Random(7)
    for _ in range(60):
        start = rng.randrange(90)
        sink.write([stream("p", range(start, start + 10)), stream("q", [start])])
    sink.write([stream("p", range(100))])
    written = [row for row in kind.read(tmp_path, "RECORDS") if row["record_id"].startswith("p:")]
    assert ids(written) == ids(stream("p", range(100)).rows)


def test_a_row_that_stands_twice_in_one_batch_comes_once(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    sink.write([stream("p", [1, 1], n="first"), stream("p", [1, 2], n="later"), podium("g"), podium("g")])
    assert kind.read(tmp_path, "RECORDS") == [
        {"record_id": "p:1", "n": "first"},
        {"record_id": "p:2", "n": "later"},
    ]
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 2


def test_the_same_record_id_may_stand_in_several_datasets(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    sink.write([stream("p", [0], "RECORDS"), stream("p", [0], "ATTACKS")])
    assert ids(kind.read(tmp_path, "RECORDS")) == ids(kind.read(tmp_path, "ATTACKS")) == ["p:0"]


def test_a_sink_opened_anew_knows_what_stands_there(kind: Kind, tmp_path: Path) -> None:
    for _ in range(3):
        with open_sink(kind.url(tmp_path)) as sink:
            sink.write([stream("p", range(5)), podium("g")])
    assert len(kind.read(tmp_path, "RECORDS")) == 5
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 2


def test_two_sinks_that_take_turns_see_each_others_rows(kind: Kind, tmp_path: Path) -> None:
    with open_sink(kind.url(tmp_path)) as one, open_sink(kind.url(tmp_path)) as other:
        for start in range(0, 40, 4):
            one.write([stream("p", range(start, start + 6))])
            other.write([stream("p", range(start + 2, start + 8))])
    assert ids(kind.read(tmp_path, "RECORDS")) == ids(stream("p", range(44)).rows)


def test_processes_at_the_same_game_and_stream_at_once_double_nothing(kind: Kind, tmp_path: Path) -> None:
    url = kind.url(tmp_path)
    ranges = [range(0, 300), range(100, 400), range(200, 500), range(0, 500, 7)]
    batches: list[list[Write]] = [
        [podium("g"), stream("p", numbers), stream("q", numbers)] for numbers in ranges
    ]
    children = [Child(url, batch, times=10) for batch in batches]
    for child in children:
        child.go()
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    expected = ids([*stream("p", range(500)).rows, *stream("q", range(500)).rows])
    assert ids(kind.read(tmp_path, "RECORDS")) == expected
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 2


def test_no_batch_and_an_empty_batch_make_nothing(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    sink.write([])
    sink.write([Append("RECORDS", [])])
    assert kind.read(tmp_path, "RECORDS") == []


def test_an_object_without_rows_is_none_the_worse(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    sink.write([Put("GAME_META", "g", [])])
    assert kind.read(tmp_path, "GAME_META") == []


def test_a_big_batch_is_written_whole(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    games: list[Write] = [podium(f"g{number}") for number in range(150)]
    sink.write([*games, stream("p", range(20_000), text="x" * 200), stream("q", [0], text="y" * 5_000_000)])
    sink.write([stream("p", range(20_000), text="x" * 200), stream("q", [0, 1], text="z")])
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 300
    records = kind.read(tmp_path, "RECORDS")
    assert len(records) == 20_002
    assert max(len(row["text"]) for row in records) == 5_000_000


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("Zoë 🦸 ‮\u2028\u0085", "Zoë 🦸 ‮\u2028\u0085"),
        ('"\\\n\r\t\0\x1f', '"\\\n\r\t\0\x1f'),
        ("\ud800 alone", "? alone"),
        (2**64 - 1, 2**64 - 1),
        ({"\0": {"a/../b": []}}, {"\0": {"a/../b": []}}),
    ],
)
def test_any_value_fits_in_a_row(kind: Kind, sink: Sink, tmp_path: Path, given: Any, read: Any) -> None:
    for _ in range(2):
        sink.write(
            [Append("RECORDS", [{"record_id": "p:0", "value": given}]), Put("META", "k", [{"v": given}])]
        )
    assert kind.read(tmp_path, "RECORDS") == [{"record_id": "p:0", "value": read}]
    assert kind.read(tmp_path, "META") == [{"v": read}]


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), float("nan"), float("inf")])
def test_a_value_that_no_row_can_hold_is_terminal_and_nothing_is_written(
    kind: Kind, sink: Sink, tmp_path: Path, value: object
) -> None:
    good: list[Write] = [podium("g"), stream("p", [0])]
    with pytest.raises(TerminalSinkError, match="not JSON"):
        sink.write([*good, Append("RECORDS", [{"record_id": "p:1", "value": value}])])
    assert kind.read(tmp_path, "RECORDS") == kind.read(tmp_path, "GAME_PODIUM") == []
    sink.write(good)
    assert ids(kind.read(tmp_path, "RECORDS")) == ["p:0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_could_leave_the_folder_is_refused(kind: Kind, name: str) -> None:
    for attempt in (
        lambda: Put("GAME_META", name, []),
        lambda: Put(name, "g", []),
        lambda: Append(name, []),
        lambda: stream(name, [0]),
    ):
        with pytest.raises(UnsafeName):
            attempt()


@pytest.mark.parametrize(
    "record_id", [None, 7, "", "p", "p:", ":1", "p:-1", "p:01", "p:1:2", "p:1\n", f"p:{10**19}"]
)
def test_a_row_without_a_record_id_is_refused(kind: Kind, record_id: object) -> None:
    with pytest.raises(UnsafeName, match="record id"):
        Append("RECORDS", [{"record_id": record_id}])
    with pytest.raises(UnsafeName):
        Append("RECORDS", [{"n": 1}])


def test_the_longest_names_can_be_written(kind: Kind, sink: Sink, tmp_path: Path) -> None:
    sink.write([podium("g" * 200, "D" * 200), stream("p" * 200, [10**19 - 1], "E" * 200)])
    assert len(kind.read(tmp_path, "D" * 200)) == 2
    assert len(kind.read(tmp_path, "E" * 200)) == 1


def test_opening_and_closing_makes_nothing(kind: Kind, tmp_path: Path) -> None:
    with open_sink(kind.url(tmp_path / "not there")):
        pass
    assert not (tmp_path / "not there").exists()


def test_a_scheme_that_is_not_known_is_an_error_that_names_those_that_are(kind: Kind) -> None:
    for url in ("nothing:///data", "", "/data"):
        with pytest.raises(SinkError, match=f"{kind.scheme}:"):
            open_sink(url)
    with pytest.raises(SinkError, match="names no folder"):
        open_sink("json://host/data")
