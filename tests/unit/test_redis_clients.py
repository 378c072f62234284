"""URLs of a Redis behind Sentinels: what they say, and how they are refused."""

from __future__ import annotations

import pytest

from superhero.config import from_env, without_password
from superhero.errors import SettingsError, StoreError
from superhero.redis_clients import MasterPlace, blocking_pool, client, uses_sentinels, with_database

FULL = "sentinel://me:p%40ss@one:1,two:2,three/games/4?sentinel_username=asker&sentinel_password=a5k"


def test_a_url_says_where_the_sentinels_are_and_what_the_master_is_called() -> None:
    place = MasterPlace.of(FULL)
    assert place.sentinels == (("one", 1), ("two", 2), ("three", 26379))
    assert place.connection() == {"db": 4, "username": "me", "password": "p@ss"}
    asked = place.of_sentinels()
    assert (asked["username"], asked["password"]) == ("asker", "a5k")


def test_what_a_url_leaves_out_has_the_usual_value() -> None:
    place = MasterPlace.of("sentinel://host/mymaster")
    assert (place.sentinels, place.name, place.database) == ((("host", 26379),), "mymaster", 0)
    assert place.connection() == {"db": 0}
    assert not {"username", "password"} & place.of_sentinels().keys()


def test_with_tls_the_master_and_the_sentinels_are_verified() -> None:
    place = MasterPlace.of("sentinels://host/mymaster/0?ssl_ca_certs=/ca.pem")
    for options in (place.connection(), place.of_sentinels()):
        assert options["ssl"] is True
        assert options["ssl_ca_certs"] == "/ca.pem"
        assert (options["ssl_cert_reqs"], options["ssl_check_hostname"]) == ("required", True)


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://me:s3cret@host:26379",
        "sentinel://me:s3cret@host:26379/",
        "sentinel://me:s3cret@host:26379/mymaster/zero",
        "sentinel://me:s3cret@/mymaster/0",
        "sentinel://me:s3cret@host/mymaster/0?ssl_cert_reqs=none",
    ],
)
def test_a_url_that_names_no_master_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        MasterPlace.of(url)
    with pytest.raises(SettingsError, match="REDIS_URL") as bad:
        from_env({"REDIS_URL": url})
    assert "s3cret" not in f"{refused.value}{bad.value}"


def test_no_password_of_a_url_is_shown() -> None:
    assert without_password(FULL) == (
        "sentinel://me:***@one:1,two:2,three/games/4?sentinel_username=asker&sentinel_password=***"
    )
    assert "p@ss" not in repr(MasterPlace.of(FULL))
    assert "a5k" not in repr(MasterPlace.of(FULL))


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("redis://:pw@host:1/0?db=3&ssl_ca_certs=x", "redis://:pw@host:1/7?ssl_ca_certs=x"),
        ("sentinel://:pw@a:1,b:2/games/0", "sentinel://:pw@a:1,b:2/games/7"),
        ("sentinel://a/games", "sentinel://a/games/7"),
    ],
)
def test_another_database_is_another_url(url: str, other: str) -> None:
    assert with_database(url, 7) == other


async def test_making_a_client_asks_nobody() -> None:
    assert uses_sentinels("sentinel://nowhere.invalid/mymaster")
    client("sentinel://nowhere.invalid/mymaster").close()
    await blocking_pool("sentinel://nowhere.invalid/mymaster", max_connections=2, timeout=1).disconnect()
