"""WIRE: every Redis key, one function each. Nothing else builds such a string.

| function | type | holds | written by | ends |
| --- | --- | --- | --- | --- |
| users() | hash | user name -> secret token | login | never |
| known_users() | hash | public id -> user name | login | never |
| ratings() | hash | public id -> rating in points and games played | the last move of a game | never |
| superheros() | hash | hero id -> record with powerstats.health and .attack | heroes load | never |
| players(n) | list | game tokens made for n participants | find | entries leave with their game |
| open_games(n) | list | tokens of games of that size with room | find | entries leave when full or late |
| joined() | sorted set | game token -> how many have joined | find | entries leave with their game |
| members(game) | set | public ids of those who joined | find | with the game |
| participants(game) | string | size | find | with the game |
| status(game) | string | OPEN, STARTED, COMPLETE or TIMED OUT | every step | with the game |
| host(game) | string | public id of the first who joined | find | with the game |
| heroes_taken(game) | set | hero ids taken | find | with the game |
| fighter(game, user) | hash | id, attack, health, podium's figures | find, moves | with the game |
| order(game) | list | who stands, in turn order, the one to move first | find, start, moves | with the game |
| logs(game) | list | each attack's answer as JSON, in order | every attack | with the game |
| fallen(game) | list | who is out, first to fall first | every move | with the game |
| version(game) | string | counts the steps committed to the game | every step | with the game |
| deadlines() | sorted set | game token -> unix time (s) when time is up | every step | at the end |
| feed(game) | Pub/Sub channel | the step just committed, as JSON | start, every step after | - |
| arena(database) | Pub/Sub channel | the events of every step of every game | feed's | - |
| servers() | sorted set | server id -> unix time (s) of its last sign of life | servers | when it stopped |
| outbox(server) | hash | record id -> committed event, perhaps not logged | every step | once it is safe |
| counters(server) | hash | producer -> its next sequence number | every step | with its server |
| attempts(task) | string | how often a task was begun, on a Redis broker | worker | with the task, or a day |
| pulse_totals() | hash | figures of the account, and the sink it is of | pulses | a day after the last |
| pulse_attempted() | hash | producer -> the number its next record gets | pulses | with the account |
| pulse_written() | hash | producer -> the numbers that are written, as spans | workers | with the account |
| pulse_aside() | hash | producer -> the numbers that went to quarantine | workers | with the account |
| pulse_producers() | sorted set | producer -> unix time (s) of its latest | pulses | with the account |
| pulse_folded() | hash | older producer -> its number and spans, as JSON | pulses | with the account |
| pulse_processes() | sorted set | process -> unix time (s) of its pulse | pulses | entries after an hour |
| pulse_process(process) | string | what it said last, as JSON | each process | seconds after its last pulse |
| pulse_note(noter) | string | number of the latest note of a worker's child | workers | a day after it |

Users stand in all of these by their public ids; only users() holds tokens. Times are the Redis server's.
The keys of the pulse share one slot of a cluster, and have the version of their shape in their names.
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


def ratings() -> str:
    """Hash: public id -> rating in points and number of games played, a space between them."""
    return "users:ratings"


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


def servers() -> str:
    """Sorted set: server id -> unix time in seconds of its last sign of life."""
    return "servers"


def outbox(server: str) -> str:
    """Hash: record id -> event that was committed and may not be logged, or not be safe, yet."""
    return f"servers:{server}:outbox"


def counters(server: str) -> str:
    """Hash: producer -> the sequence number its next record gets."""
    return f"servers:{server}:counters"


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
    """Hash: id, attack, health, rounds, damage_delivered, damage_received."""
    return f"games:{game}:superheros:{user}"


def order(game: str) -> str:
    """List: who stands, in turn order, the one to move first; in an open game who joined."""
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
    """Pub/Sub channel: the step just committed, as JSON."""
    return f"games:{game}:feed"


def arena(database: int) -> str:
    """Pub/Sub channel: the events of every step of every game, as JSON. Channels are of all databases."""
    return f"arena:{database}"


def attempts(task_id: str) -> str:
    """String, on a Redis that is the broker: how often a task was begun and did not end."""
    return f"superhero:attempts:{task_id}"


def pulse_totals() -> str:
    """Hash: figures of the account, and the sink it is of."""
    return _pulse("totals")


def pulse_attempted() -> str:
    """Hash: producer -> the number its next record gets."""
    return _pulse("attempted")


def pulse_written() -> str:
    """Hash: producer -> the numbers that are written, as spans (pulse/scripts/prelude.lua)."""
    return _pulse("written")


def pulse_aside() -> str:
    """Hash: producer -> the numbers that went to quarantine, as spans."""
    return _pulse("aside")


def pulse_producers() -> str:
    """Sorted set: producer -> unix time in seconds of its latest record."""
    return _pulse("producers")


def pulse_folded() -> str:
    """Hash: producers of which only sums are counted -> what would be known of them (pulse/scripts)."""
    return _pulse("folded")


def pulse_processes() -> str:
    """Sorted set: process -> unix time in seconds of its latest pulse."""
    return _pulse("processes")


def pulse_process(process: str) -> str:
    """String: what a process said last, as JSON (pulse/heart.py)."""
    return _pulse(f"process:{process}")


def pulse_note(noter: str) -> str:
    """String: number of the latest note of a worker's child."""
    return _pulse(f"note:{noter}")


def pulse_pattern() -> str:
    """Return what SCAN finds every key of the pulse by."""
    return _pulse("*")


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


def _pulse(name: str) -> str:
    return f"superhero:{{pulse}}:v1:{name}"
