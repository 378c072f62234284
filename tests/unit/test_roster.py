"""Heroes: what a record must be, and those shipped with the package."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superhero.errors import RosterError
from superhero.roster import Hero, forge, read_file, shipped
from superhero.roster.hero import ATTACK_STATS, HEALTH_STATS

# Parts of well-known names, in small letters, that no hero of ours may have in its name.
TAKEN = """
    superman batman spider ironman hulk thor loki odin wolverine cyclops magneto phoenix storm beast rogue
    gambit deadpool venom carnage thanos galactus surfer panther widow hawkeye vision ultron wanda falcon
    quicksilver captain marvel america antman wasp strange doctor doom flash joker bane riddler penguin
    catwoman robin nightwing batgirl supergirl wonder aquaman cyborg lantern arrow shazam darkseid luthor
    kal-el kalel jor-el jorel raven starfire daredevil punisher elektra blade ghost rider hellboy spawn
    watchmen rorschach homelander starlight lamplighter groot rocket drax gamora nebula mystique colossus
    nova yoda vader skywalker gandalf frodo goku naruto saitama
"""


def record(**changes: Any) -> dict[str, Any]:
    stats = dict.fromkeys((*HEALTH_STATS, *ATTACK_STATS), "10")
    return {"id": "7", "name": "Somebody", "powerstats": stats, "image": {"url": ""}, **changes}


def stats(**changes: Any) -> dict[str, Any]:
    return {**record()["powerstats"], **changes}


def test_the_shipped_heroes_are_what_the_forge_makes() -> None:
    text = resources.files("superhero.roster").joinpath("heroes.json").read_text(encoding="utf-8")
    assert forge.as_text(forge.forge()) == text


def test_another_seed_forges_other_heroes() -> None:
    assert list(forge.forge(1, 5)) == list(forge.forge(1, 5)) != list(forge.forge(2, 5))


def test_several_hundred_heroes_are_shipped_each_with_a_name_of_its_own() -> None:
    heroes = shipped()
    assert len(heroes) == len({hero.id for hero in heroes}) == len({hero.name for hero in heroes}) == 600


def test_no_shipped_hero_bears_a_known_name() -> None:
    names = [hero.name.lower() for hero in shipped()]
    assert [(name, taken) for name in names for taken in TAKEN.split() if taken in name] == []


def test_shipped_records_have_the_shape_of_super_hero_api_and_point_nowhere() -> None:
    for hero in shipped():
        assert list(hero.record) == [
            "id",
            "name",
            "powerstats",
            "biography",
            "appearance",
            "work",
            "connections",
            "image",
        ]
        assert all(isinstance(value, str) for value in hero.record["powerstats"].values())
        assert "http" not in json.dumps(hero.record)


def test_some_shipped_stats_are_unknown_and_the_others_make_fair_games() -> None:
    known = [hero for hero in shipped() if "null" not in hero.record["powerstats"].values()]
    assert 0 < len(shipped()) - len(known) < 30
    blows = [forge.AVERAGE_HEALTH / hero.attack for hero in known]
    blows += [hero.health / forge.AVERAGE_ATTACK for hero in known]
    assert min(blows) >= forge.MIN_BLOWS
    assert max(blows) <= forge.MAX_BLOWS


def test_health_and_attack_follow_the_published_rule() -> None:
    powers = stats(intelligence="2", strength="3", durability="5", speed="7", power="11", combat="13")
    hero = Hero.from_record(record(powerstats=powers))
    assert (hero.health, hero.attack) == (10 * 2 * 3 * 5, 7 * 11 * 13)


@pytest.mark.parametrize("unknown", ["null", "0", 0, None, ""])
def test_an_unknown_stat_counts_as_one(unknown: object) -> None:
    hero = Hero.from_record(record(powerstats=stats(strength=unknown, power=unknown)))
    assert (hero.health, hero.attack) == (10 * 10 * 1 * 10, 10 * 1 * 10)


def test_missing_stats_count_as_one() -> None:
    hero = Hero.from_record(record(powerstats={}))
    assert (hero.health, hero.attack) == (10, 1)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("text", "a hero is a JSON object"),
        ([], "a hero is a JSON object"),
        (record(id=None), "id must be"),
        (record(id="65536"), "id must be"),
        (record(id="-1"), "id must be"),
        (record(id=True), "id must be"),
        (record(id=1.0), "id must be"),
        (record(id="../x"), "id must be"),
        (record(id="९"), "id must be"),
        (record(name=""), "hero 7: name must be"),
        (record(name=5), "hero 7: name must be"),
        (record(powerstats=None), "hero 7: powerstats must be"),
        (record(powerstats=stats(speed="101")), "hero 7: speed must be"),
        (record(powerstats=stats(speed="fast")), "hero 7: speed must be"),
        (record(powerstats=stats(speed=["1"])), "hero 7: speed must be"),
        (record(powerstats=stats(speed=True)), "hero 7: speed must be"),
        (record(powerstats=stats(speed="9" * 5000)), "hero 7: speed must be"),
    ],
)
def test_what_is_no_hero_is_refused_with_a_sentence(bad: object, told: str) -> None:
    with pytest.raises(RosterError, match=told) as refusal:
        Hero.from_record(bad)
    assert len(str(refusal.value)) < 250


@given(st.dictionaries(st.sampled_from([*HEALTH_STATS, *ATTACK_STATS]), st.integers(0, 100).map(str)))
def test_any_stats_give_numbers_that_fit_the_datasets(powers: dict[str, str]) -> None:
    hero = Hero.from_record(record(powerstats=powers))
    assert 10 <= hero.health <= 10_000_000
    assert 1 <= hero.attack <= 1_000_000


def test_what_is_stored_has_the_numbers_beside_the_record() -> None:
    hero = Hero.from_record(record(id=7, biography={"full-name": "Sömebody"}))
    kept = json.loads(hero.stored())
    assert (kept["id"], kept["biography"]["full-name"]) == ("7", "Sömebody")
    assert (kept["powerstats"]["health"], kept["powerstats"]["attack"]) == (10_000, 1_000)
    assert Hero.from_record(kept).stored() == hero.stored()


def test_a_file_in_super_hero_apis_shape_loads_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "heroes.json"
    served = {"response": "success", **record(id="70", powerstats=stats(combat="null"))}
    path.write_text(json.dumps([served, record(id="71")]), encoding="utf-8")
    assert [(hero.id, hero.attack) for hero in read_file(path)] == [(70, 100), (71, 1000)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{}", "must be a JSON list"),
        (b"[", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (json.dumps([record(), record(name="Other")]).encode(), "id 7 stands for 'Somebody' and for 'Other'"),
        (json.dumps([record(), {"id": "8"}]).encode(), "entry 2: hero 8: name must be text"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_by_name(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "heroes.json"
    path.write_bytes(content)
    with pytest.raises(RosterError, match=told) as refusal:
        read_file(path)
    assert str(path) in str(refusal.value)


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(RosterError, match="cannot be read: No such file"):
        read_file(tmp_path / "nobody.json")
