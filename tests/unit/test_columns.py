"""Column types: what fits comes back as it is, what does not is an error that names the column."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.columns import text, uint8, uint16, uint64

LARGEST: list[tuple[Callable[[object, str], int], int]] = [
    (uint8, 255),
    (uint16, 65_535),
    (uint64, 18_446_744_073_709_551_615),
]


@pytest.mark.parametrize(("column", "largest"), LARGEST)
def test_a_number_within_its_bits_comes_back(column: Callable[[object, str], int], largest: int) -> None:
    assert column(0, "rank") == 0
    assert column(largest, "rank") == largest


@pytest.mark.parametrize(("column", "largest"), LARGEST)
def test_a_number_beyond_its_bits_is_refused(column: Callable[[object, str], int], largest: int) -> None:
    for value in (-1, largest + 1):
        with pytest.raises(ValueError, match=f"rank must be a whole number of .* bits, not {value}"):
            column(value, "rank")


@pytest.mark.parametrize("value", [None, True, 1.0, "1", [], float("nan")])
@pytest.mark.parametrize(("column", "largest"), LARGEST)
def test_what_is_no_whole_number_is_refused(
    column: Callable[[object, str], int], largest: int, value: object
) -> None:
    with pytest.raises(ValueError, match="rank"):
        column(value, "rank")


def test_text_is_text() -> None:
    assert text("", "user") == ""
    assert text("\0é🦸", "user") == "\0é🦸"


@pytest.mark.parametrize("value", [None, 7, b"bytes", ["a"]])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="user must be text"):
        text(value, "user")


def test_a_long_value_does_not_fill_the_error() -> None:
    with pytest.raises(ValueError, match="game") as caught:
        uint8("x" * 10_000, "game")
    assert len(str(caught.value)) < 200
