"""WIRE: API v1's messages: the only validator of requests and the only builder of answers.

`parse_...` take a message as it came (UTF-8 text) and return a frozen request, or raise BadRequest whose
`status` is the STATUS to answer with. What they return has the right types, forms and bounds; whether a user
or game exists, and whether the rules allow it, is not known here.

Texts of STATUS that begin with MISSING, and LIST OF SUPERHEROS NOT AVAILABLE, are API v1's; the others are
ours, for what the published server let pass. Golden samples stand under tests/contract/golden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from superhero import identity
from superhero.errors import BadRequest
from superhero.events import AttackMade
from superhero.game.rules import Fighter

ATTACK = "ATTACK"
MAX_NAME = 200
"""Longest user name, in characters."""

NOT_JSON = "MESSAGE IS NOT JSON"
NOT_AN_OBJECT = "MESSAGE IS NOT AN OBJECT"
MISSING_PAYLOAD = "MISSING PAYLOAD IN MESSAGE"
PAYLOAD_NOT_AN_OBJECT = "PAYLOAD IS NOT AN OBJECT"
NO_HEROES = "LIST OF SUPERHEROS NOT AVAILABLE"
UNKNOWN_USER = "UNKNOWN USER"
UNKNOWN_GAME = "UNKNOWN GAME"
NOT_IN_GAME = "USER NOT IN GAME"
ALREADY_JOINED = "USER ALREADY JOINED THE GAME"
NOT_STARTED = "GAME HAS NOT STARTED"
GAME_IS_OVER = "GAME IS OVER"
OPPONENTS_STAND = "ENEMY TOKEN IS NULL WHILE OPPONENTS STAND"
LOBBY_IN_USE = "LOBBY CONNECTION IS IN USE"
STATE_NOT_AVAILABLE = "GAME STATE NOT AVAILABLE"
INTERNAL_ERROR = "INTERNAL ERROR"
TOO_MANY_REQUESTS = "TOO MANY REQUESTS"
TOO_MANY_NEW_USERS = "TOO MANY NEW USERS"


@dataclass(frozen=True, slots=True)
class Login:
    """Who plays. The name is a credential: whoever knows it gets the user's token."""

    user: str


@dataclass(frozen=True, slots=True)
class Find:
    """A user wants to play in a game of `participants`."""

    user_token: str
    participants: int


@dataclass(frozen=True, slots=True)
class Watch:
    """A participant wants to be told about its game."""

    game_token: str
    user_token: str


@dataclass(frozen=True, slots=True)
class AskHero:
    """Somebody asks for a participant's hero. `user_token` is a participant's secret token or public id."""

    game_token: str
    user_token: str


@dataclass(frozen=True, slots=True)
class Act:
    """A participant attacks. `enemy_token` None says that it sees no opponent standing."""

    game_token: str
    user_token: str
    enemy_token: str | None


def parse_login(message: str | bytes) -> Login:
    """Read a login request."""
    name = _text(_payload(message), "USER")
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or not name.strip():
        raise BadRequest(f"USER MUST BE 1 TO {MAX_NAME} PRINTABLE CHARACTERS")
    return Login(name)


def parse_find(message: str | bytes, max_participants: int) -> Find:
    """Read a find request for a game of 2 to `max_participants`."""
    payload = _payload(message)
    user_token = _user_token(payload)
    participants = _field(payload, "PARTICIPANTS")
    # bool is an int to Python and no number to us.
    if not isinstance(participants, int) or isinstance(participants, bool):
        raise BadRequest("PARTICIPANTS IS NOT A WHOLE NUMBER")
    if not 2 <= participants <= max_participants:
        raise BadRequest(f"PARTICIPANTS MUST BE 2 TO {max_participants}")
    return Find(user_token, participants)


def parse_lobby(message: str | bytes) -> Watch:
    """Read a lobby request."""
    payload = _payload(message)
    return Watch(_game_token(payload), _user_token(payload))


def parse_hero(message: str | bytes) -> AskHero:
    """Read a hero request, about a secret token or a public id."""
    payload = _payload(message)
    game_token, user_token = _game_token(payload), _text(payload, "USER_TOKEN")
    if not (identity.is_public_id(user_token) or identity.is_user_token(user_token)):
        raise BadRequest(UNKNOWN_USER)
    return AskHero(game_token, user_token)


def parse_action(message: str | bytes) -> Act:
    """Read an action request. A missing ENEMY_TOKEN is refused, null is not."""
    payload = _payload(message)
    game_token, user_token = _game_token(payload), _user_token(payload)
    enemy_token = _field(payload, "ENEMY_TOKEN")
    if enemy_token is not None and not isinstance(enemy_token, str):
        raise BadRequest("ENEMY TOKEN IS NOT TEXT")
    if _text(payload, "ACTION") != ATTACK:
        raise BadRequest("UNKNOWN ACTION")
    return Act(game_token, user_token, enemy_token)


def encode(answer: Mapping[str, Any]) -> bytes:
    """Return an answer as UTF-8 JSON."""
    return orjson.dumps(answer)


def refused(status: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Answer a request that is not acted on; `details` stand beside STATUS for clients that look for them."""
    answer: dict[str, Any] = {"PAYLOAD": {}, "STATUS": status}
    return {**answer, "DETAILS": details} if details else answer


def logged_in(user_token: str, created: bool) -> dict[str, Any]:
    """Answer a login."""
    answer: dict[str, Any] = {"PAYLOAD": {"USER_TOKEN": user_token}}
    return {**answer, "STATUS": "USER CREATED"} if created else answer


def joined(game_token: str, hero_id: int) -> dict[str, Any]:
    """Answer a find."""
    return {
        "PAYLOAD": {"GAME_TOKEN": game_token, "HERO_ID": hero_id},
        "STATUS": {"JOINED": "SUCCESS"},
    }


def hero_spec(game_token: str, user_token: str, hero: Mapping[str, int]) -> dict[str, Any]:
    """Answer a hero request; the user is shown under the token it was asked for."""
    return {
        "PAYLOAD": {
            "GAME_TOKEN": game_token,
            "USER_TOKEN": user_token,
            "HERO": {"token": user_token, **hero},
        },
        "STATUS": {"GAME": "HERO SPEC"},
    }


def attacked(event: AttackMade, user_token: str, timestamp: str) -> dict[str, Any]:
    """Answer an attack, to the one known by `user_token`; with its public id it is fit for `logs`."""
    return {
        "TIMESTAMP": timestamp,
        "PAYLOAD": {"GAME_TOKEN": event.game_token, "USER_TOKEN": user_token},
        "STATUS": {
            "ACTION": ATTACK,
            "DETAILS": {
                "ENEMY_TOKEN": event.enemy,
                "ENEMY_DAMAGE": event.damage,
                "ENEMY_HEALTH_PRIOR": event.enemy_health_prior,
                "ENEMY_HEALTH_POST": event.enemy_health_post,
            },
        },
    }


def started(game_token: str, fighters: Sequence[Fighter], user: str, user_token: str) -> dict[str, Any]:
    """Push the start to `user`, who sees itself under the token it knows and all others by public id.

    `fighters` are in turn order and as they were at the start or are now: a lobby that comes back sees now.
    """
    shown = [user_token if fighter.user == user else fighter.user for fighter in fighters]
    heroes = {
        token: {"token": token, "id": fighter.hero_id, "attack": fighter.attack, "health": fighter.health}
        for token, fighter in zip(shown, fighters, strict=True)
    }
    return {
        "PAYLOAD": {"GAME_TOKEN": game_token, "PARTICIPANTS": shown, "PARTICIPANTS_HEROS": heroes},
        "STATUS": {"GAME": "START"},
    }


def users_turn(game_token: str) -> dict[str, Any]:
    """Push that it is the recipient's turn."""
    return _of_game(game_token, "USER'S TURN")


def completed(game_token: str) -> dict[str, Any]:
    """Push, or answer a null enemy, that one is left standing."""
    return _of_game(game_token, "COMPLETE")


def timed_out(game_token: str) -> dict[str, Any]:
    """Push that the game did not fill in time."""
    return _of_game(game_token, "TIMED OUT")


def _of_game(game_token: str, status: str) -> dict[str, Any]:
    return {"PAYLOAD": {"GAME_TOKEN": game_token}, "STATUS": {"GAME": status}}


def _payload(message: str | bytes) -> Mapping[str, Any]:
    try:
        parsed = orjson.loads(message)
    except (ValueError, RecursionError) as error:
        raise BadRequest(NOT_JSON) from error
    if not isinstance(parsed, dict):
        raise BadRequest(NOT_AN_OBJECT)
    if "PAYLOAD" not in parsed:
        raise BadRequest(MISSING_PAYLOAD)
    payload = parsed["PAYLOAD"]
    if not isinstance(payload, dict):
        raise BadRequest(PAYLOAD_NOT_AN_OBJECT)
    return payload


def _field(payload: Mapping[str, Any], name: str) -> Any:
    if name not in payload:
        raise BadRequest(f"MISSING {name.replace('_', ' ')} IN PAYLOAD")
    return payload[name]


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = _field(payload, name)
    if not isinstance(value, str):
        raise BadRequest(f"{name.replace('_', ' ')} IS NOT TEXT")
    return value


def _user_token(payload: Mapping[str, Any]) -> str:
    token = _text(payload, "USER_TOKEN")
    if not identity.is_user_token(token):
        raise BadRequest(UNKNOWN_USER)
    return token


def _game_token(payload: Mapping[str, Any]) -> str:
    token = _text(payload, "GAME_TOKEN")
    if not identity.is_game_token(token):
        raise BadRequest("GAME TOKEN IS MALFORMED")
    return token
