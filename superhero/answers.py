"""Read API v1's answers as a client must: every one may be a refusal, or make no sense."""

from __future__ import annotations

from typing import Any, NoReturn

import orjson

from superhero import messages
from superhero.errors import ServiceError, SuperheroError

NOT_NOW = (
    messages.NO_HEROES,
    messages.STATE_NOT_AVAILABLE,
    messages.INTERNAL_ERROR,
    messages.TOO_MANY_REQUESTS,
    messages.TOO_MANY_NEW_USERS,
)
_GONE = (messages.UNKNOWN_GAME, messages.NOT_IN_GAME, messages.UNKNOWN_USER)


class NotNow(SuperheroError):
    """The server refused, which another attempt may put right."""


class Gone(SuperheroError):
    """The server does not know the game, or the bot in it, any more."""


def parsed(message: bytes) -> dict[str, Any]:
    """Return a message. Raise ServiceError for one that is no JSON object."""
    try:
        answer = orjson.loads(message)
    except ValueError as error:
        raise ServiceError(f"the server answered {message!r:.80}, which is not JSON") from error
    if not isinstance(answer, dict):
        raise ServiceError(f"the server answered {message!r:.80}, which is no JSON object")
    return answer


def game_status(message: dict[str, Any]) -> str | None:
    """Return the GAME status of a message that is no refusal. Raise Gone or NotNow for one that is."""
    status = message.get("STATUS")
    if isinstance(status, dict):
        game: str | None = status.get("GAME")
        return game
    raise Gone(str(status)) if status in _GONE else NotNow(str(status))


def health_of(answer: dict[str, Any]) -> int:
    """Return the health in the answer to a hero request. Raise as `game_status`, or ServiceError."""
    game_status(answer)
    payload = answer.get("PAYLOAD")
    hero = payload.get("HERO") if isinstance(payload, dict) else None
    health = hero.get("health") if isinstance(hero, dict) else None
    return health if isinstance(health, int) else _without("health", answer)


def text_of(answer: dict[str, Any], name: str, within: str = "PAYLOAD") -> str:
    """Return a text of an answer. Raise ServiceError when the server answered something else."""
    outer = answer.get(within)
    value = outer.get(name) if isinstance(outer, dict) else None
    return value if isinstance(value, str) else _without(name, answer)


def _without(name: str, answer: dict[str, Any]) -> NoReturn:
    # The answer itself is not shown: a token may be in it.
    raise ServiceError(f"the server answered with STATUS {answer.get('STATUS')!r:.200} and no {name}")
