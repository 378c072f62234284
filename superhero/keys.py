"""WIRE: every Redis key, one function each. Nothing else builds such a string.

| function | type | holds | written by | ends |
| --- | --- | --- | --- | --- |
| users() | hash | user name -> secret token | login | never |
| known_users() | hash | public id -> user name | login | never |
| superheros() | hash | hero id -> record with powerstats.health and .attack | heroes load | never |
| players(n) | list | game tokens made for n participants | find | entries leave with their game |
| open_games(n) | list | game tokens of that size with room left | find | entries leave when full or timed out |
| joined() | sorted set | game token -> how many have joined | find | entries leave with their game |
| members(game) | set | public ids of those who joined | find | with the game |
| participants(game) | string | size | find | with the game |
| status(game) | string | OPEN, STARTED, COMPLETE or TIMED OUT | every step | with the game |
| host(game) | string | public id of the first who joined | find | with the game |
| heroes_taken(game) | set | hero ids taken | find | with the game |
| fighter(game, user) | hash | id, attack, health (and the podium's needs) | find, every move | with the game |
| order(game) | list | turn order, the one to move first | start, every move | with the game |
| logs(game) | list | each attack's answer as JSON, in order | every attack | with the game |
| fallen(game) | list | who is out, first to fall first | every move | with the game |
| version(game) | string | counts the steps committed to the game | every step | with the game |
| deadlines() | sorted set | game token -> unix time (s) when somebody's time is up | every step | at the end |
| outbox() | hash | "<game>:<version>" -> events as JSON, perhaps not logged yet | every step | once logged |
| feed(game) | Pub/Sub channel | the version just committed | every step | - |

"With the game": the clean-up pipeline sets a TTL on `of_game(...)` once the game's files are safe.
"""

from __future__ import annotations

from collections.abc import Iterable


def users() -> str:
    """Hash: user name -> secret token."""
    return "users"


def known_users() -> str:
    """Hash: public id -> user name."""
    return "users:public"


def superheros() -> str:
    """Hash: hero id -> record as JSON."""
    return "superheros"


def players(size: int) -> str:
    """List: game tokens made for `size` participants."""
    return f"games:players:{size}"


def open_games(size: int) -> str:
    """List: tokens of games for `size` participants that have room."""
    return f"games:open:{size}"


def joined() -> str:
    """Sorted set: game token -> how many have joined."""
    return "games:participants"


def deadlines() -> str:
    """Sorted set: game token -> unix time in seconds at which it must be looked at."""
    return "games:deadlines"


def outbox() -> str:
    """Hash: "<game>:<version>" -> committed events that may not be logged yet."""
    return "games:outbox"


def members(game: str) -> str:
    """Set: public ids of those who joined."""
    return f"games:{game}"


def participants(game: str) -> str:
    """String: how many play."""
    return f"games:{game}:participants"


def status(game: str) -> str:
    """String: OPEN, STARTED, COMPLETE or TIMED OUT."""
    return f"games:{game}:status"


def host(game: str) -> str:
    """String: public id of the first who joined."""
    return f"games:{game}:host"


def heroes_taken(game: str) -> str:
    """Set: hero ids taken."""
    return f"games:{game}:superheros"


def fighter(game: str, user: str) -> str:
    """Hash: id, attack, health, and what the podium needs."""
    return f"games:{game}:superheros:{user}"


def order(game: str) -> str:
    """List: turn order, the one to move first."""
    return f"games:{game}:order"


def logs(game: str) -> str:
    """List: each attack's answer as JSON, in order."""
    return f"games:{game}:logs"


def fallen(game: str) -> str:
    """List: public ids of those who are out, first to fall first."""
    return f"games:{game}:fallen"


def version(game: str) -> str:
    """String: how many steps were committed to the game."""
    return f"games:{game}:version"


def feed(game: str) -> str:
    """Pub/Sub channel: the version just committed."""
    return f"games:{game}:feed"


def of_game(game: str, users: Iterable[str]) -> list[str]:
    """Every key that lives and ends with one game of these users (public ids)."""
    return [
        members(game),
        participants(game),
        status(game),
        host(game),
        heroes_taken(game),
        order(game),
        logs(game),
        fallen(game),
        version(game),
        *(fighter(game, user) for user in users),
    ]
