"""Redis keys: as api-v1 publishes them, all different, and a game's own ones complete."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from superhero import keys

PUBLISHED = {
    "users": keys.users(),
    "superheros": keys.superheros(),
    "games:players:3": keys.players(3),
    "games:participants": keys.joined(),
    "games:G": keys.members("G"),
    "games:G:participants": keys.participants("G"),
    "games:G:status": keys.status("G"),
    "games:G:host": keys.host("G"),
    "games:G:superheros": keys.heroes_taken("G"),
    "games:G:superheros:U": keys.fighter("G", "U"),
    "games:G:order": keys.order("G"),
    "games:G:logs": keys.logs("G"),
}


def functions() -> dict[str, Callable[..., str]]:
    """Return every function that gives one key."""
    found = inspect.getmembers(keys, inspect.isfunction)
    return {
        name: function
        for name, function in found
        if name not in ("of_game", "pulse_pattern") and name[0] != "_"
    }


def example(function: Callable[..., str]) -> str:
    """Return a key for arguments that look like what they stand for."""
    values = {
        "size": 2,
        "game": "G",
        "user": "U",
        "server": "S",
        "task_id": "T",
        "process": "P",
        "noter": "N",
        "database": 0,
    }
    return function(*(values[name] for name in inspect.signature(function).parameters))


@pytest.mark.parametrize("published", PUBLISHED)
def test_a_published_key_is_as_published(published: str) -> None:
    assert PUBLISHED[published] == published


def test_no_two_functions_give_the_same_key() -> None:
    made = [example(function) for function in functions().values()]
    assert len(set(made)) == len(made)


def test_every_key_stands_in_the_table() -> None:
    for name, function in functions().items():
        letters = {"size": "n", "task_id": "task"}
        arguments = ", ".join(letters.get(p, p) for p in inspect.signature(function).parameters)
        assert f"| {name}({arguments}) |" in (keys.__doc__ or "")


def test_a_game_s_own_keys_are_all_those_that_end_with_it() -> None:
    with_the_game = {
        example(functions()[line.split("(")[0].strip("| ")])
        for line in (keys.__doc__ or "").splitlines()
        if line.endswith("| with the game |")
    }
    assert with_the_game
    assert set(keys.of_game("G", ["U"])) == with_the_game


def test_a_game_s_keys_hold_one_fighter_per_user() -> None:
    assert {keys.fighter("G", "a"), keys.fighter("G", "b")} < set(keys.of_game("G", ["a", "b"]))
