"""API v1's messages: whatever comes in is a request or a BadRequest, and never anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from superhero import identity, messages
from superhero.errors import BadRequest
from superhero.game.rules import Fighter

GAME = "0123456789abcdef"
TOKEN = "0123456789abcdef0123456789abcdef"


def find(message: str | bytes) -> messages.Find:
    """Read a find request with the default bound."""
    return messages.parse_find(message, 100)


PARSERS: list[Callable[[str | bytes], object]] = [
    messages.parse_login,
    find,
    messages.parse_lobby,
    messages.parse_hero,
    messages.parse_action,
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "USER": json_values,
        "USER_TOKEN": json_values | st.just(TOKEN),
        "PARTICIPANTS": json_values,
        "GAME_TOKEN": json_values | st.just(GAME),
        "ENEMY_TOKEN": json_values,
        "ACTION": json_values | st.just("ATTACK"),
    },
)


def request(**payload: Any) -> str:
    """Return a request as a client sends it."""
    return json.dumps({"PAYLOAD": payload})


def refusal(parse: Callable[[str | bytes], object], message: str | bytes) -> str:
    """Return the STATUS with which a message is refused."""
    with pytest.raises(BadRequest) as refused:
        parse(message)
    return refused.value.status


@pytest.mark.parametrize("parse", PARSERS)
@given(
    message=st.text() | st.binary() | json_values.map(json.dumps) | fields.map(lambda each: request(**each))
)
@example(message="[" * 100_000)
@example(message='{"PAYLOAD":' * 100_000)
@example(message='{"PAYLOAD": {"USER": "\\ud800", "USER_TOKEN": "\\u0000"}}')
@example(message="1" * 10_000)
@example(message=b"\xff\xfe\x00")
def test_whatever_comes_in_is_a_request_or_refused(
    parse: Callable[[str | bytes], object], message: str | bytes
) -> None:
    try:
        parse(message)
    except BadRequest as refused:
        assert refused.status.isascii() and refused.status == refused.status.upper()


def test_whole_requests_are_read() -> None:
    assert messages.parse_login(request(USER="Zoë")) == messages.Login("Zoë")
    assert find(request(USER_TOKEN=TOKEN, PARTICIPANTS=2)) == messages.Find(TOKEN, 2)
    assert messages.parse_lobby(request(GAME_TOKEN=GAME, USER_TOKEN=TOKEN)) == messages.Watch(GAME, TOKEN)
    for token in (TOKEN, GAME):
        read = messages.parse_hero(request(GAME_TOKEN=GAME, USER_TOKEN=token))
        assert read == messages.AskHero(GAME, token)
    for enemy in (GAME, None, ""):
        act = request(GAME_TOKEN=GAME, USER_TOKEN=TOKEN, ENEMY_TOKEN=enemy, ACTION="ATTACK")
        assert messages.parse_action(act) == messages.Act(GAME, TOKEN, enemy)


def test_fields_that_are_not_known_are_let_be() -> None:
    assert messages.parse_login('{"PAYLOAD": {"USER": "x", "MORE": 1}, "VERSION": 2}') == messages.Login("x")


def test_the_first_field_that_is_missing_is_named() -> None:
    assert refusal(messages.parse_action, request()) == "MISSING GAME TOKEN IN PAYLOAD"
    assert refusal(messages.parse_login, "{}") == "MISSING PAYLOAD IN MESSAGE"


def test_a_size_beyond_the_bound_names_the_bound() -> None:
    message = request(USER_TOKEN=TOKEN, PARTICIPANTS=6)
    assert messages.parse_find(message, 6) == messages.Find(TOKEN, 6)
    assert refusal(lambda each: messages.parse_find(each, 5), message) == "PARTICIPANTS MUST BE 2 TO 5"


@given(st.lists(st.text("0123456789abcdef", min_size=16, max_size=16), min_size=2, max_size=5, unique=True))
def test_a_start_shows_the_recipient_its_own_token_in_its_place(users: list[str]) -> None:
    fighters = [Fighter(user, number, 1, 2) for number, user in enumerate(users)]
    payload = messages.started(GAME, fighters, users[1], TOKEN)["PAYLOAD"]
    assert payload["PARTICIPANTS"] == [users[0], TOKEN, *users[2:]]
    assert [payload["PARTICIPANTS_HEROS"][token]["id"] for token in payload["PARTICIPANTS"]] == list(
        range(len(users))
    )


def test_a_public_id_is_derived_and_cannot_be_used_as_a_token() -> None:
    token = identity.new_user_token()
    public = identity.public_id(token)
    assert public == identity.public_id(token) != identity.public_id(public)
    assert public not in token and not identity.is_user_token(public)
    assert refusal(find, request(USER_TOKEN=public, PARTICIPANTS=2)) == "UNKNOWN USER"
