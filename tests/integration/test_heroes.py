"""Heroes into Redis, and the command that does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from superhero import keys
from superhero.cli import main
from superhero.errors import RosterError, StoreError
from superhero.roster import Hero, shipped, store, store_if_empty, stored

Run = Callable[..., Result]


@pytest.fixture
def superhero(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a way to run the command on the test's own Redis."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


def hero(hero_id: int, name: str = "Somebody") -> Hero:
    return Hero.from_record({"id": str(hero_id), "name": name, "powerstats": {"speed": "5"}})


def raw(redis_url: str) -> dict[str, Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return {key: json.loads(value) for key, value in client.hgetall(keys.superheros()).items()}


def test_stored_heroes_stand_under_their_ids_with_health_and_attack(redis_url: str) -> None:
    store(redis_url, [hero(7)])
    assert raw(redis_url) == {
        "7": {"id": "7", "name": "Somebody", "powerstats": {"speed": "5", "health": 10, "attack": 5}}
    }
    assert [each.id for each in stored(redis_url)] == [7]


def test_a_new_roster_takes_the_place_of_the_old_one(redis_url: str) -> None:
    store(redis_url, [hero(1), hero(2)])
    store(redis_url, [hero(3)])
    assert set(raw(redis_url)) == {"3"}


def test_heroes_that_are_added_leave_the_others(redis_url: str) -> None:
    store(redis_url, [hero(1), hero(2)])
    store(redis_url, [hero(2, "Another"), hero(3)], replace=False)
    assert [each.name for each in stored(redis_url)] == ["Somebody", "Another", "Somebody"]


def test_nobody_and_the_same_id_twice_are_not_stored(redis_url: str) -> None:
    store(redis_url, [hero(1)])
    with pytest.raises(RosterError, match="no heroes to store"):
        store(redis_url, [])
    with pytest.raises(RosterError, match="id 2 stands for"):
        store(redis_url, [hero(2), hero(2)])
    assert set(raw(redis_url)) == {"1"}


def test_of_many_servers_that_find_no_heroes_one_stores_them(redis_url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        stored_it = list(threads.map(lambda _: store_if_empty(redis_url, shipped()), range(8)))
    assert stored_it.count(True) == 1
    assert len(stored(redis_url)) == len(shipped())
    assert not store_if_empty(redis_url, [hero(1)])


def test_a_redis_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"Redis at redis://:\*\*\*@127\.0\.0\.1:1/0") as error:
        store("redis://:secret@127.0.0.1:1/0", [hero(1)])
    assert "secret" not in str(error.value)


def test_what_is_no_hero_in_redis_is_told(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.hset(keys.superheros(), "1", "{")
    with pytest.raises(StoreError, match="not JSON"):
        stored(redis_url)


def test_the_command_loads_the_shipped_heroes_and_lists_them(superhero: Run) -> None:
    loaded = superhero("heroes", "load")
    assert (loaded.exit_code, loaded.output.startswith("600 heroes loaded into redis://")) == (0, True)
    listed = json.loads(superhero("heroes", "list", "--json").output)
    assert len(listed) == 600
    assert listed[0] == {
        "id": 1,
        "name": shipped()[0].name,
        "health": shipped()[0].health,
        "attack": shipped()[0].attack,
    }
    assert shipped()[0].name in superhero("heroes", "list").output


def test_the_command_loads_a_file_beside_those_who_are_there(superhero: Run, tmp_path: Path) -> None:
    path = tmp_path / "heroes.json"
    path.write_text(json.dumps([{"id": "60001", "name": "Late Comer", "powerstats": {}}]), encoding="utf-8")
    superhero("heroes", "load")
    assert superhero("heroes", "load", path, "--add").exit_code == 0
    assert len(json.loads(superhero("heroes", "list", "--json").output)) == 601
    assert superhero("heroes", "load", path).exit_code == 0
    assert len(json.loads(superhero("heroes", "list", "--json").output)) == 1


def test_a_file_that_is_no_roster_leaves_redis_as_it_was(superhero: Run, tmp_path: Path) -> None:
    path = tmp_path / "heroes.json"
    path.write_text("[{}]", encoding="utf-8")
    superhero("heroes", "load")
    refused = superhero("heroes", "load", path)
    assert (refused.exit_code, "entry 1: id must be" in refused.output) == (2, True)
    assert len(json.loads(superhero("heroes", "list", "--json").output)) == 600


def test_no_heroes_are_told_with_what_to_do(superhero: Run) -> None:
    listed = superhero("heroes", "list")
    assert (listed.exit_code, "superhero heroes load" in listed.output) == (1, True)
