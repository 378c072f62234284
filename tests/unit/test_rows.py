"""Fitting rows to columns: nothing is refused that JSON can hold, and nothing of it is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base import Append, Put
from sinks.errors import TerminalSinkError
from sinks.rows import LONGEST_NAME, Fitting, date_of
from sinks.schemas import (
    EXTRA,
    Column,
    Shape,
    Type,
    as_markdown,
    register,
    schema,
    schema_of,
    schemas,
)

EVERY_TYPE = schema(
    "TEST", Shape.STREAM, "for a test", [Column(each.name.lower(), each, "for a test") for each in Type]
)
IDENTITY = {"record_id": "p:0"}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*EVERY_TYPE.names, "other"])


def fitted(row: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the cells of a row."""
    return Fitting(EVERY_TYPE, **options).cells(row, IDENTITY)


def unfitted(cells: dict[str, Any]) -> dict[str, Any]:
    """Return the row that became these cells, but for its Nones."""
    row = {name: value for name, value in cells.items() if value is not None and name != EXTRA}
    if "json" in row:
        row["json"] = json.loads(row["json"])
    if "time" in row:
        row["time"] = row["time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rest = json.loads(cells[EXTRA] or "{}")
    return {**row, **rest}


@given(st.dictionaries(NAMES, JSON), st.booleans())
def test_every_row_comes_back_as_it_was_but_for_nulls(row: dict[str, Any], takes_nul: bool) -> None:
    row = {**row, **IDENTITY}
    cells = fitted(row, takes_nul=takes_nul, largest=2**63 - 1)
    assert list(cells) == list(EVERY_TYPE.names)
    known = set(EVERY_TYPE.names) - {EXTRA}
    assert unfitted(cells) == {k: v for k, v in row.items() if v is not None or k not in known}
    assert takes_nul or "\0" not in f"{cells['text']}{cells['name']}"


@pytest.mark.parametrize(
    ("name", "fits", "does_not"),
    [
        ("uint8", [0, 255], [256, -1, True, 1.0, "1"]),
        ("uint16", [0, 65535], [65536, -1, False]),
        ("uint64", [0, 2**64 - 1], [2**64, -1]),
        ("name", ["x" * LONGEST_NAME], ["", "x" * (LONGEST_NAME + 1), 7]),
        ("text", ["", "\0", "🦸" * 1000], [7, ["text"], False]),
        ("time", ["2026-01-31T12:00:00.000000Z"], ["2026-01-31", "2026-02-31T12:00:00.000000Z", 7]),
        ("json", [7, "text", [], {}, False], []),
    ],
)
def test_a_value_is_in_its_column_or_in_extra(name: str, fits: list[Any], does_not: list[Any]) -> None:
    for value in fits:
        cells = fitted({name: value})
        assert cells[name] is not None
        assert cells[EXTRA] is None
    for value in does_not:
        cells = fitted({name: value})
        assert cells[name] is None
        assert json.loads(cells[EXTRA]) == {name: value}


def test_cells_have_the_types_that_drivers_take() -> None:
    cells = fitted({"time": "2026-01-31T12:00:00.000001Z", "json": {"é": [1, None]}})
    assert cells["time"] == datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
    assert cells["json"] == '{"é":[1,null]}'


def test_lone_surrogates_are_replaced_everywhere() -> None:
    cells = fitted({"text": "a\ud800", "name": "\udfffb", "json": ["\ud800"], "other": "\ud800"})
    assert (cells["text"], cells["name"], cells["json"]) == ("a?", "?b", '["?"]')
    assert cells[EXTRA] == '{"other":"?"}'


@pytest.mark.parametrize("name", ["json", "text", "uint8", "other"])
@pytest.mark.parametrize("value", [{1}, b"bytes", object(), float("nan")])
def test_what_is_not_json_is_refused_in_whatever_column(name: str, value: object) -> None:
    with pytest.raises(TerminalSinkError, match="not JSON"):
        fitted({name: value})


@pytest.mark.parametrize(
    ("time", "date"),
    [("2026-01-31T12:00:00Z", "2026-01-31"), ("../../etc", None), ("", None), (None, None), (20260131, None)],
)
def test_a_date_is_digits_or_nothing(time: object, date: str | None) -> None:
    assert date_of(time) == date


def test_a_dataset_has_one_schema_and_one_shape() -> None:
    assert schema_of(Append("RECORDS", [])).dataset == "RECORDS"
    assert schema_of(Put("SOMEBODYS", "k", [])).names == ("object_key", "object_row", EXTRA)
    with pytest.raises(TerminalSinkError, match="GAME_META"):
        schema_of(Append("GAME_META", []))
    with pytest.raises(ValueError, match="another schema"):
        register(schema("RECORDS", Shape.STREAM, "something else"))
    with pytest.raises(ValueError, match="twice"):
        register(schema("TWICE", Shape.STREAM, "x", [Column("extra", Type.TEXT, "x")]))
    for each in schemas():
        register(each)


def test_the_documentation_names_every_column_with_type_unit_and_version() -> None:
    text = as_markdown()
    for each in schemas():
        assert f"### {each.dataset}\n" in text
        assert all(f"| `{name}` |" in text for name in each.names)
        assert all(column.since <= each.version for column in each.columns)
    assert "| `damage_delivered` | whole number, 0 to 2**64 - 1 | points of health |" in text
