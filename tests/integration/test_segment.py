"""One segment of a spool: what is read of it, whole and damaged."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import superhero.transport.segment
from superhero.transport.segment import Segment


def envelope(number: int, padding: str = "") -> bytes:
    return f'{{"v":1,"id":"p:{number}","channel":"a","x":"{padding}é"}}'.encode()


def write(path: Path, records: list[bytes]) -> None:
    segment = Segment(path, 0, new=True)
    segment.limit = 1 << 30
    for record in records:
        assert segment.append(record)
    segment.close()


def written(path: Path, count: int) -> list[bytes]:
    records = [envelope(number, padding="y" * (number % 50)) for number in range(count)]
    write(path, records)
    return records


def read_all(path: Path) -> tuple[list[bytes], int]:
    segment = Segment(path, 0, new=False)
    found = segment.scan()
    records: list[bytes] = []
    while not segment.exhausted:
        records += segment.read()[1]
    segment.close()
    assert found.records == len(records)
    return records, found.corrupt


@given(st.binary())
def test_checksums_are_those_of_zlib_whichever_library_makes_them(record: bytes) -> None:
    assert superhero.transport.segment.crc32(record) == zlib.crc32(record)


def test_a_torn_end_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    records = written(path, 100)
    path.write_bytes(path.read_bytes()[:-5])
    assert read_all(path) == (records[:-1], 1)


def test_a_damaged_record_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    records = written(path, 100)
    content = bytearray(path.read_bytes())
    content[content.index(records[50]) + 3] ^= 1
    path.write_bytes(content)
    assert read_all(path) == (records[:50] + records[51:], 1)


def test_a_hole_of_zeros_costs_only_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    records = written(path, 3000)
    content = bytearray(path.read_bytes())
    begin, end = content.index(records[1000]), content.index(records[1100])
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    got, corrupt = read_all(path)
    assert got == records[:1000] + records[1101:]
    assert corrupt >= 1


def test_a_record_larger_than_a_block_is_read(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    records = [envelope(0), envelope(1, padding="z" * 900_000), envelope(2)]
    write(path, records)
    assert read_all(path) == (records, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_damage_anywhere_costs_only_the_records_it_touches(
    tmp_path_factory: pytest.TempPathFactory, seed: int, wounds: int
) -> None:
    path = tmp_path_factory.mktemp("segment") / "0.log"
    records = written(path, 60)
    content = bytearray(path.read_bytes())
    touched: set[int] = set()
    chance = random.Random(seed)
    starts = [content.index(record) - 12 for record in records]
    for _ in range(wounds):
        at = chance.randrange(len(content))
        for place in range(at, min(at + chance.randrange(1, 40), len(content))):
            content[place] ^= chance.randrange(1, 256)
            touched.add(max(number for number, start in enumerate(starts) if start <= place))
    path.write_bytes(content)
    got, _ = read_all(path)
    assert [record for number, record in enumerate(records) if number not in touched] == [
        record for record in got if record in records
    ]
    assert set(got) <= set(records)


def test_a_record_beyond_the_limit_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    segment = Segment(path, 0, new=True)
    segment.limit = 2 * len(envelope(0)) + 12  # and the first one's frame
    assert [segment.append(envelope(number)) for number in range(4)] == [True, True, False, False]
    segment.close()
    assert read_all(path) == ([envelope(0), envelope(1)], 0)
