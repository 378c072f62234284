"""The wire formats against golden samples: a change here breaks whoever wrote or reads them already.

An event or envelope that changes takes a new schema version with it, and this folder a new sample beside the
old one; API v1's messages do not change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from superhero import events, messages
from superhero.events import (
    AttackMade,
    Event,
    GameCompleted,
    GameStarted,
    GameTimedOut,
    HeroesListed,
    HeroFacts,
    PlayerRated,
    Standing,
    UserLoggedIn,
)
from superhero.game.rules import Fighter
from superhero.transport import envelope
from superhero.transport.envelope import Envelope
from superhero.transport.tracing import FIELD

GOLDEN = Path(__file__).with_name("golden")
GAME = "00112233445566aa"
TOKEN = "0123456789abcdef0123456789abcdef"
USERS = ["a1b2c3d4e5f60718", "18f7e6d5c4b3a290"]
UINT64 = 2**64 - 1

EVENTS: list[Event] = [
    UserLoggedIn(USERS[0], created=True),
    GameStarted(GAME, USERS, {USERS[0]: 1, USERS[1]: 65535}),
    AttackMade(GAME, 1, USERS[0], USERS[1], 1000, 10000, 9000),
    GameCompleted(
        GAME,
        19,
        "last one standing",
        [Standing(USERS[0], 1, 1, 10, 10000, 9000), Standing(USERS[1], 65535, 2, 9, 9000, UINT64)],
    ),
    GameTimedOut(GAME, 3, USERS),
    PlayerRated(GAME, USERS[0], 1, 1000, 1016, 1),
    HeroesListed(
        "8899aabbccddeeff", 0, [HeroFacts(1, "Kelerven Millstone", 88, 47, 46, 40, 97, 58, 1654400, 258796)]
    ),
]
FIGHTERS = [Fighter(USERS[0], 1, 1000, 10000), Fighter(USERS[1], 65535, 1, UINT64)]
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENVELOPES = [
    Envelope(
        id="sim-0a1b2c3d-game:0",
        channel="superhero.game",
        time="2026-01-31T12:00:00.000000Z",
        level="INFO",
        logger="superhero.game",
        event="game.attack",
        message="an attack",
        payload=EVENTS[2].payload(),
    ),
    Envelope(
        id="host-1:9999999999999999999",
        channel="shop.orders",
        time="2026-12-31T23:59:59.999999Z",
        level="WARNING",
        logger="shop.orders",
        event=None,
        message='Straße, "quoted", \u2028, emoji 🦸',
        payload=None,
    ),
]


def sample_events() -> Any:
    """Return every event's payload by name."""
    return {"schema_version": events.SCHEMA_VERSION, "payloads": {e.name: e.payload() for e in EVENTS}}


def sample_envelopes() -> Any:
    """Return envelopes as they are encoded, and the task message that carries one."""
    encoded = [envelope.encode(each) for each in ENVELOPES]
    return {
        "version": envelope.VERSION,
        "task": envelope.INGEST_TASK,
        "envelopes": [each.decode() for each in encoded],
        "traced": encoded[1][:-1].decode() + f',"{FIELD}":"{TRACEPARENT}"}}',
        "body": envelope.task_body("superhero.game", encoded[:1]).decode(),
        "headers": envelope.task_headers("superhero.game", "11-22", 1, ENVELOPES[0].id),
    }


def sample_answers() -> Any:
    """Return every answer and push of API v1."""
    attack = EVENTS[2]
    assert isinstance(attack, AttackMade)
    return {
        "login, first time": messages.logged_in(TOKEN, created=True),
        "login": messages.logged_in(TOKEN, created=False),
        "find": messages.joined(GAME, 65535),
        "find, again": messages.refused(messages.ALREADY_JOINED, {"GAME_TOKEN": GAME, "HERO_ID": 65535}),
        "hero": messages.hero_spec(GAME, USERS[0], {"id": 1, "attack": 1000, "health": 10000}),
        "action": messages.attacked(attack, TOKEN, "2026-01-31T12:00:00+00:00"),
        "start": messages.started(GAME, FIGHTERS, USERS[0], TOKEN),
        "turn": messages.users_turn(GAME),
        "complete": messages.completed(GAME),
        "timed out": messages.timed_out(GAME),
        "refused": messages.refused("MISSING USER IN PAYLOAD"),
    }


SAMPLES: Mapping[str, Callable[[], Any]] = {
    "events-v1": sample_events,
    "envelopes-v1": sample_envelopes,
    "api-v1-answers": sample_answers,
}


def golden(name: str) -> Any:
    """Read a sample."""
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_we_write_is_what_the_sample_holds(name: str) -> None:
    made = SAMPLES[name]()
    assert made == golden(name)
    assert json.loads(json.dumps(made)) == golden(name)


def test_every_event_has_a_sample_and_is_read_from_it() -> None:
    payloads = golden("events-v1")["payloads"]
    assert set(payloads) == set(events.EVENTS)
    assert [events.EVENTS[event.name].from_payload(payloads[event.name]) for event in EVENTS] == EVENTS


def test_an_event_is_read_from_a_newer_payload_that_has_more_fields() -> None:
    for name, payload in golden("events-v1")["payloads"].items():
        kind = events.EVENTS[name]
        assert kind.from_payload({**payload, "since_v2": 1}) == kind.from_payload(payload)
        for missing in payload:
            with pytest.raises(KeyError):
                kind.from_payload({key: value for key, value in payload.items() if key != missing})


def test_envelopes_are_read_from_their_samples() -> None:
    read = [envelope.decode(json.loads(text)) for text in golden("envelopes-v1")["envelopes"]]
    assert read == ENVELOPES


def test_an_answer_goes_out_as_the_json_of_its_sample() -> None:
    for answer in golden("api-v1-answers").values():
        assert json.loads(messages.encode(answer)) == answer
