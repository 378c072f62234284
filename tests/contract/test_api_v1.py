"""API v1 to the letter, asked by a client that knows nothing but its published description."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import api_v1
import httpx
import pytest
import redis
from api_v1 import ACTION, FIND, HERO, LOBBY, LOGIN, Message, Player, ask, ask_raw
from serving import give_heroes, serving, url_of
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from superhero import keys

GAME = "0123456789abcdef"
TOKEN = "0123456789abcdef0123456789abcdef"
PATHS = (LOGIN, FIND, LOBBY, HERO, ACTION)


@pytest.fixture
async def url(redis_url: str) -> AsyncIterator[str]:
    """Run a server with heroes and return where it is."""
    give_heroes(redis_url)
    async with serving(redis_url) as server:
        yield url_of(server)


async def join_all(url: str, size: int) -> list[Player]:
    """Return the players of a game that has started, in the order in which they joined."""
    players = [Player(lambda: url, f"player {number}", random.Random(number)) for number in range(size)]
    for player in players:
        await player.join(size)
    return players


async def start_seen_by(url: str, player: Player) -> Message:
    """Return the START that a player is pushed."""
    async with api_v1.connected(url, LOBBY) as lobby:
        await api_v1.say(lobby, GAME_TOKEN=player.game, USER_TOKEN=player.token)
        return await api_v1.hear(lobby)


async def in_turn_order(url: str, players: list[Player]) -> list[Player]:
    """Return two players, the one to move first."""
    first, second = players
    order = (await start_seen_by(url, first))["PAYLOAD"]["PARTICIPANTS"]
    return [first, second] if order[0] == first.token else [second, first]


async def opponent_of(url: str, player: Player) -> str:
    """Return the token under which a player of two sees the other."""
    seen = (await start_seen_by(url, player))["PAYLOAD"]["PARTICIPANTS"]
    return next(token for token in seen if token != player.token)


async def attack(url: str, player: Player, enemy: str | None) -> Message:
    """Ask for an attack."""
    return await ask(
        url, ACTION, GAME_TOKEN=player.game, USER_TOKEN=player.token, ENEMY_TOKEN=enemy, ACTION="ATTACK"
    )


async def wound(url: str, player: Player) -> int:
    """Return a player's health."""
    answer = await ask(url, HERO, GAME_TOKEN=player.game, USER_TOKEN=player.token)
    health = answer["PAYLOAD"]["HERO"]["health"]
    assert isinstance(health, int)
    return health


def assert_refused(answer: Message, status: str | None = None) -> None:
    """Hold an answer against the form of all refusals."""
    assert answer["PAYLOAD"] == {}
    assert isinstance(answer["STATUS"], str) and answer["STATUS"] == answer["STATUS"].upper()
    if status is not None:
        assert answer["STATUS"] == status


@pytest.mark.parametrize("size", [2, 3, 5])
async def test_a_published_client_plays_a_whole_game(url: str, redis_url: str, size: int) -> None:
    players = await join_all(url, size)
    assert await asyncio.gather(*(player.play() for player in players)) == ["COMPLETE"] * size

    for player in players:
        told = [message["STATUS"]["GAME"] for message in player.pushed]
        assert told[0] == "START" and told[-1] == "COMPLETE"
        assert set(told[1:-1]) <= {"USER'S TURN"}
        assert player.token in player.pushed[0]["PAYLOAD"]["PARTICIPANTS"]
    attacks = [
        answer
        for player in players
        for answer in player.answers
        if answer["STATUS"].get("ACTION") == "ATTACK"
    ]
    turns = sum(message["STATUS"]["GAME"] == "USER'S TURN" for player in players for message in player.pushed)
    assert len(attacks) == turns
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        logs = [json.loads(line) for line in client.lrange(keys.logs(players[0].game), 0, -1)]
    assert sorted(each["STATUS"]["DETAILS"]["ENEMY_HEALTH_POST"] for each in logs) == sorted(
        each["STATUS"]["DETAILS"]["ENEMY_HEALTH_POST"] for each in attacks
    )


async def test_a_login_creates_a_user_once_and_gives_the_same_token_ever_after(url: str) -> None:
    first = await ask(url, LOGIN, USER="Nadia Ünlü")
    again = await ask(url, LOGIN, USER="Nadia Ünlü")
    assert first == {"PAYLOAD": {"USER_TOKEN": first["PAYLOAD"]["USER_TOKEN"]}, "STATUS": "USER CREATED"}
    assert again == {"PAYLOAD": {"USER_TOKEN": first["PAYLOAD"]["USER_TOKEN"]}}


async def test_a_find_answers_as_published(url: str) -> None:
    token = await api_v1.login(url, "one")
    answer = await ask(url, FIND, USER_TOKEN=token, PARTICIPANTS=2)
    game, hero_id = answer["PAYLOAD"]["GAME_TOKEN"], answer["PAYLOAD"]["HERO_ID"]
    assert answer == {"PAYLOAD": {"GAME_TOKEN": game, "HERO_ID": hero_id}, "STATUS": {"JOINED": "SUCCESS"}}
    assert isinstance(game, str) and isinstance(hero_id, int)


async def test_everybody_in_a_game_has_a_hero_of_its_own(url: str) -> None:
    players = await join_all(url, 7)
    heroes = (await start_seen_by(url, players[0]))["PAYLOAD"]["PARTICIPANTS_HEROS"]
    assert len({hero["id"] for hero in heroes.values()}) == 7


async def test_a_start_shows_each_its_own_token_and_all_others_by_public_id(url: str) -> None:
    players = await join_all(url, 3)
    secrets = {player.token for player in players}
    for player in players:
        start = await start_seen_by(url, player)
        tokens = start["PAYLOAD"]["PARTICIPANTS"]
        heroes = start["PAYLOAD"]["PARTICIPANTS_HEROS"]
        assert start["STATUS"] == {"GAME": "START"} and start["PAYLOAD"]["GAME_TOKEN"] == player.game
        assert secrets & set(tokens) == {player.token}
        assert set(heroes) == set(tokens) and len(tokens) == 3
        assert all(hero["token"] == token for token, hero in heroes.items())
        assert all(set(hero) == {"token", "id", "attack", "health"} for hero in heroes.values())


async def test_a_hero_is_told_under_the_token_it_was_asked_for(url: str) -> None:
    players = await join_all(url, 2)
    for token in (players[0].token, await opponent_of(url, players[1])):
        answer = await ask(url, HERO, GAME_TOKEN=players[0].game, USER_TOKEN=token)
        hero = answer["PAYLOAD"]["HERO"]
        assert answer["PAYLOAD"] == {"GAME_TOKEN": players[0].game, "USER_TOKEN": token, "HERO": hero}
        assert answer["STATUS"] == {"GAME": "HERO SPEC"}
        assert hero == {"token": token, "id": hero["id"], "attack": 1000, "health": 10000}


async def test_one_hero_connection_answers_many_requests(url: str) -> None:
    players = await join_all(url, 2)
    async with api_v1.connected(url, HERO) as connection:
        for player in players:
            await api_v1.say(connection, GAME_TOKEN=player.game, USER_TOKEN=player.token)
            assert (await api_v1.hear(connection))["PAYLOAD"]["USER_TOKEN"] == player.token


async def test_an_attack_answers_as_published(url: str) -> None:
    first, second = await in_turn_order(url, await join_all(url, 2))
    enemy = await opponent_of(url, first)
    answer = await attack(url, first, enemy)
    assert isinstance(answer.pop("TIMESTAMP"), str)
    assert answer == {
        "PAYLOAD": {"GAME_TOKEN": first.game, "USER_TOKEN": first.token},
        "STATUS": {
            "ACTION": "ATTACK",
            "DETAILS": {
                "ENEMY_TOKEN": enemy,
                "ENEMY_DAMAGE": 1000,
                "ENEMY_HEALTH_PRIOR": 10000,
                "ENEMY_HEALTH_POST": 9000,
            },
        },
    }
    assert await wound(url, second) == 9000


async def test_a_lobby_that_comes_back_is_told_the_start_and_its_turn_again(url: str) -> None:
    first, second = await in_turn_order(url, await join_all(url, 2))
    await attack(url, first, await opponent_of(url, first))
    for _ in range(2):
        async with api_v1.connected(url, LOBBY) as lobby:
            await api_v1.say(lobby, GAME_TOKEN=second.game, USER_TOKEN=second.token)
            assert (await api_v1.hear(lobby))["STATUS"] == {"GAME": "START"}
            turn = await api_v1.hear(lobby)
            assert turn == {"PAYLOAD": {"GAME_TOKEN": second.game}, "STATUS": {"GAME": "USER'S TURN"}}


async def test_a_lobby_opened_after_the_end_is_told_start_and_end(url: str) -> None:
    players = await join_all(url, 2)
    await asyncio.gather(*(player.play() for player in players))
    async with api_v1.connected(url, LOBBY) as lobby:
        await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
        told = [(await api_v1.hear(lobby))["STATUS"]["GAME"] for _ in range(2)]
    assert told == ["START", "COMPLETE"]


async def test_a_null_enemy_after_the_end_is_told_that_the_game_is_complete(url: str) -> None:
    players = await join_all(url, 2)
    await asyncio.gather(*(player.play() for player in players))
    assert (await attack(url, players[0], None))["STATUS"] == {"GAME": "COMPLETE"}
    assert_refused(await attack(url, players[0], await opponent_of(url, players[0])), "GAME IS OVER")


async def test_a_lobby_connection_serves_another_game_once_one_is_over(url: str) -> None:
    players = await join_all(url, 2)
    await asyncio.gather(*(player.play() for player in players))
    over = players[0].game
    async with api_v1.connected(url, LOBBY) as lobby:
        await api_v1.say(lobby, GAME_TOKEN=over, USER_TOKEN=players[0].token)
        for _ in range(2):
            await api_v1.hear(lobby)
        for player in players:
            await player.join(2)
        await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
        start = await api_v1.hear(lobby)
        assert start["STATUS"] == {"GAME": "START"} and start["PAYLOAD"]["GAME_TOKEN"] == players[0].game


WHOLE: dict[str, dict[str, Any]] = {
    LOGIN: {"USER": "somebody"},
    FIND: {"USER_TOKEN": TOKEN, "PARTICIPANTS": 2},
    LOBBY: {"GAME_TOKEN": GAME, "USER_TOKEN": TOKEN},
    HERO: {"GAME_TOKEN": GAME, "USER_TOKEN": TOKEN},
    ACTION: {"GAME_TOKEN": GAME, "USER_TOKEN": TOKEN, "ENEMY_TOKEN": GAME, "ACTION": "ATTACK"},
}
MISSING = [
    (path, field, f"MISSING {field.replace('_', ' ')} IN PAYLOAD") for path in WHOLE for field in WHOLE[path]
]


@pytest.mark.parametrize(("path", "field", "status"), MISSING)
async def test_a_missing_field_is_named(url: str, path: str, field: str, status: str) -> None:
    payload = {name: value for name, value in WHOLE[path].items() if name != field}
    assert_refused(await ask(url, path, **payload), status)


@pytest.mark.parametrize("path", PATHS)
async def test_a_missing_payload_is_named(url: str, path: str) -> None:
    assert_refused(await ask_raw(url, path, "{}"), "MISSING PAYLOAD IN MESSAGE")
    assert_refused(await ask_raw(url, path, '{"USER": "x"}'), "MISSING PAYLOAD IN MESSAGE")


NOT_MESSAGES = [
    "",
    "hello",
    "{",
    '{"PAYLOAD": {"USER": "x"}',
    "[" * 5000,
    '{"PAYLOAD":' * 5000,
    "NaN",
    "null",
    "[]",
    '"PAYLOAD"',
    "17",
    '{"PAYLOAD": null}',
    '{"PAYLOAD": []}',
    '{"PAYLOAD": "USER"}',
    '{"PAYLOAD": 1}',
    '{"PAYLOAD": {"USER": "\\ud800"}}',
]


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_no_request_is_answered_on_a_connection_that_lives_on(url: str, path: str) -> None:
    async with api_v1.connected(url, path) as connection:
        for message in NOT_MESSAGES:
            await connection.send(message)
            assert_refused(await api_v1.hear(connection))
        await connection.send(b"\xff\xfe{}", text=False)
        assert_refused(await api_v1.hear(connection), "MESSAGE IS NOT JSON")
        await api_v1.say(connection)
        assert_refused(await api_v1.hear(connection))


WRONG_TYPES: list[Any] = [None, True, 1, 1.5, 10**400, [], {}, ["x"], {"a": 1}]


@pytest.mark.parametrize(("path", "field"), [(path, field) for path in WHOLE for field in WHOLE[path]])
async def test_wrong_types_are_refused(url: str, path: str, field: str) -> None:
    # A name may be any text that can be shown; null is what says that no enemy is seen.
    fitting = {"USER": "../x", "ENEMY_TOKEN": None}.get(field, "fits nowhere")
    async with api_v1.connected(url, path) as connection:
        for value in [*WRONG_TYPES, "\0", "../x", "x" * 40000, "é" * 300]:
            if value == fitting:
                continue
            await api_v1.say(connection, **{**WHOLE[path], field: value})
            assert_refused(await api_v1.hear(connection))


@pytest.mark.parametrize("size", [-1, 0, 1, 101, 255, 2**31, 2**63, 2**64, 10**30, 2.0, 2.5, "2", True, None])
async def test_a_size_out_of_bounds_is_refused(url: str, redis_url: str, size: Any) -> None:
    token = await api_v1.login(url, "one")
    assert_refused(await ask(url, FIND, USER_TOKEN=token, PARTICIPANTS=size))
    with redis.Redis.from_url(redis_url) as client:
        assert not client.keys("games:*")


@pytest.mark.parametrize(
    "game", ["../x", "", "x", "0" * 15, "0" * 17, "A" * 16, "0" * 15 + "\0", "0" * 15 + "é", "*"]
)
@pytest.mark.parametrize("path", [LOBBY, HERO, ACTION])
async def test_a_hostile_game_token_is_refused(url: str, path: str, game: str) -> None:
    assert_refused(await ask(url, path, **{**WHOLE[path], "GAME_TOKEN": game}), "GAME TOKEN IS MALFORMED")


@pytest.mark.parametrize("path", [LOBBY, HERO, ACTION])
async def test_an_unknown_game_is_refused(url: str, path: str) -> None:
    token = await api_v1.login(url, "one")
    assert_refused(await ask(url, path, **{**WHOLE[path], "USER_TOKEN": token}), "UNKNOWN GAME")


@pytest.mark.parametrize("token", [TOKEN, "", "x", "0" * 31, "A" * 32, "'; DROP", "0" * 31 + "\0"])
async def test_a_made_up_user_token_is_refused(url: str, token: str) -> None:
    players = await join_all(url, 2)
    assert_refused(await ask(url, FIND, USER_TOKEN=token, PARTICIPANTS=2), "UNKNOWN USER")
    for path in (LOBBY, HERO, ACTION):
        request = {**WHOLE[path], "GAME_TOKEN": players[0].game, "USER_TOKEN": token}
        assert_refused(await ask(url, path, **request))


async def test_a_public_id_lets_nobody_act(url: str) -> None:
    first, second = await in_turn_order(url, await join_all(url, 2))
    seen = await opponent_of(url, second)
    request = {"GAME_TOKEN": first.game, "USER_TOKEN": seen}
    assert_refused(await ask(url, FIND, USER_TOKEN=seen, PARTICIPANTS=2), "UNKNOWN USER")
    assert_refused(await ask(url, LOBBY, **request), "UNKNOWN USER")
    assert_refused(
        await ask(url, ACTION, **request, ENEMY_TOKEN=await opponent_of(url, first), ACTION="ATTACK"),
        "UNKNOWN USER",
    )
    assert await wound(url, second) == 10000


async def test_a_game_one_is_not_in_is_refused(url: str) -> None:
    players = await join_all(url, 2)
    stranger = await api_v1.login(url, "a stranger")
    enemy = await opponent_of(url, players[0])
    request = {"GAME_TOKEN": players[0].game, "USER_TOKEN": stranger}
    assert_refused(await ask(url, LOBBY, **request), "USER NOT IN GAME")
    assert_refused(await ask(url, HERO, **request), "USER NOT IN GAME")
    for target in (enemy, None):
        answer = await ask(url, ACTION, **request, ENEMY_TOKEN=target, ACTION="ATTACK")
        assert_refused(answer, "USER NOT IN GAME")
    assert [await wound(url, player) for player in players] == [10000, 10000]


async def test_attacks_that_the_rules_forbid_are_refused_and_change_nothing(url: str) -> None:
    first, second = await in_turn_order(url, await join_all(url, 2))
    enemy_of_first, enemy_of_second = await opponent_of(url, first), await opponent_of(url, second)
    outsider = api_v1.login(url, "outsider")
    assert_refused(await attack(url, second, enemy_of_second), "NOT THE USER'S TURN")
    assert_refused(await attack(url, first, first.token), "ENEMY IS THE USER ITSELF")
    assert_refused(await attack(url, first, enemy_of_second), "ENEMY IS THE USER ITSELF")
    assert_refused(await attack(url, first, await outsider), "ENEMY NOT IN GAME")
    assert_refused(await attack(url, first, second.token), "ENEMY NOT IN GAME")
    for player in (first, second):
        assert_refused(await attack(url, player, None), "ENEMY TOKEN IS NULL WHILE OPPONENTS STAND")
    request = {"GAME_TOKEN": first.game, "USER_TOKEN": first.token, "ENEMY_TOKEN": enemy_of_first}
    assert_refused(await ask(url, ACTION, **request, ACTION="FLEE"), "UNKNOWN ACTION")
    assert [await wound(url, player) for player in (first, second)] == [10000, 10000]
    assert (await attack(url, first, enemy_of_first))["STATUS"]["ACTION"] == "ATTACK"


async def test_the_dead_neither_attack_nor_are_attacked(url: str) -> None:
    players = await join_all(url, 3)
    seen = {player.token: (await start_seen_by(url, player))["PAYLOAD"]["PARTICIPANTS"] for player in players}
    first, second, victim = sorted(players, key=lambda player: seen[player.token].index(player.token))
    first_seen, second_seen, _ = seen[victim.token]
    victim_seen = seen[first.token][2]
    for player, enemy in itertools.cycle(
        [(first, victim_seen), (second, victim_seen), (victim, second_seen)]
    ):
        assert (await attack(url, player, enemy))["STATUS"]["ACTION"] == "ATTACK"
        if await wound(url, victim) == 0:
            break
    assert_refused(await attack(url, victim, first_seen), "USER IS OUT OF THE GAME")
    for player in (first, second):
        assert_refused(await attack(url, player, victim_seen), "ENEMY IS OUT OF THE GAME")


async def test_an_attack_before_the_start_is_refused(url: str) -> None:
    player = Player(lambda: url, "early")
    await player.join(2)
    assert_refused(await attack(url, player, GAME), "GAME HAS NOT STARTED")
    assert_refused(await attack(url, player, None), "GAME HAS NOT STARTED")


async def test_a_second_join_of_the_same_game_is_refused_and_says_which_game(
    url: str, redis_url: str
) -> None:
    player = Player(lambda: url, "eager")
    await player.join(2)
    hero_id = (await ask(url, HERO, GAME_TOKEN=player.game, USER_TOKEN=player.token))["PAYLOAD"]["HERO"]["id"]
    answer = await ask(url, FIND, USER_TOKEN=player.token, PARTICIPANTS=2)
    assert_refused(answer, "USER ALREADY JOINED THE GAME")
    assert answer["DETAILS"] == {"GAME_TOKEN": player.game, "HERO_ID": hero_id}
    with redis.Redis.from_url(redis_url) as client:
        assert client.scard(keys.members(player.game)) == 1


async def test_who_waits_in_a_game_may_join_one_of_another_size(url: str) -> None:
    player = Player(lambda: url, "eager")
    await player.join(2)
    waiting = player.game
    await player.join(3)
    assert player.game != waiting


async def test_whatever_is_said_in_a_lobby_while_its_game_goes_on_is_refused(url: str) -> None:
    player = Player(lambda: url, "chatty")
    await player.join(2)
    async with api_v1.connected(url, LOBBY) as lobby:
        await api_v1.say(lobby, GAME_TOKEN=player.game, USER_TOKEN=player.token)
        await api_v1.say(lobby, GAME_TOKEN=player.game, USER_TOKEN=player.token)
        assert_refused(await api_v1.hear(lobby), "LOBBY CONNECTION IS IN USE")


async def test_without_heroes_nobody_finds_a_game(url: str, redis_url: str) -> None:
    token = await api_v1.login(url, "one")
    with redis.Redis.from_url(redis_url) as client:
        client.delete(keys.superheros())
        answer = await ask(url, FIND, USER_TOKEN=token, PARTICIPANTS=2)
        assert_refused(answer, "LIST OF SUPERHEROS NOT AVAILABLE")
        client.hset(keys.superheros(), "1", "no hero at all")
        client.hset(keys.superheros(), "2", '{"powerstats": null}')
    assert_refused(await ask(url, FIND, USER_TOKEN=token, PARTICIPANTS=2), "LIST OF SUPERHEROS NOT AVAILABLE")


async def test_a_name_that_cannot_be_shown_is_refused(url: str) -> None:
    for name in ("", " ", "a\0b", "a\nb", "x" * 201, "\u202e"):
        assert_refused(await ask(url, LOGIN, USER=name))


async def test_other_paths_are_not_there(url: str) -> None:
    for path in ("/", "/api/v1", "/api/v1/login/", "/api/v2/login", "/../etc/passwd"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url}{path}", proxy=None)
        assert refused.value.response.status_code == 404


async def test_healthz_answers_over_plain_http(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http{url.removeprefix('ws')}/healthz")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    report = answer.json()
    assert report["status"] == "ok" and report["transport"] == {}
    assert report["games"]["lobby_connections"] == 0
