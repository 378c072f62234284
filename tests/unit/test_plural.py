"""One of something is not several."""

from __future__ import annotations

import pytest

from superhero.plural import counted


@pytest.mark.parametrize(
    ("number", "nouns", "said"),
    [
        (0, ("game",), "0 games"),
        (1, ("game",), "1 game"),
        (1000, ("game",), "1,000 games"),
        (1, ("hero", "heroes"), "1 hero"),
        (2, ("hero", "heroes"), "2 heroes"),
    ],
)
def test_a_number_goes_with_its_noun(number: int, nouns: tuple[str, ...], said: str) -> None:
    assert counted(number, *nouns) == said
