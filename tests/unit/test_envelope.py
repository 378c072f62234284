"""The envelope on the wire: encoded, decoded, and read without parsing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superhero.transport.envelope import (
    Envelope,
    EnvelopeError,
    by_channel,
    channel_name,
    decode,
    encode,
    is_channel,
    is_record_id,
    numbered,
    task_body,
    with_id,
)

RECORD = Envelope("p-1:0", "app.x", "2026-01-31T12:00:00.000000Z", "INFO", "app.x", None, "text", {"a": [1]})


def test_an_envelope_comes_back_as_it_was() -> None:
    assert decode(json.loads(encode(RECORD))) == RECORD


def test_ids_and_channels_are_found_without_parsing() -> None:
    envelopes = [
        encode(RECORD._replace(id=f"p:{number}", channel=channel))
        for number, channel in enumerate(["app.x", "app.x", "app", "app.x", "app.xy", "app.xy"])
    ]
    assert list(by_channel(envelopes)) == [
        ("app.x", [b"p:0", b"p:1"]),
        ("app", [b"p:2"]),
        ("app.x", [b"p:3"]),
        ("app.xy", [b"p:4", b"p:5"]),
    ]


def test_a_number_makes_the_same_envelope_as_its_id() -> None:
    fields = b'{"channel":"app"}'
    assert numbered("p-app") % (17, fields[1:]) == with_id("p-app:17", fields)


@given(st.text())
def test_every_logger_name_makes_a_channel(name: str) -> None:
    assert is_channel(channel_name(name))


@given(st.dictionaries(st.text(), st.integers(-(1 << 70), 1 << 70) | st.text()))
def test_any_json_payload_survives(payload: dict[str, object]) -> None:
    envelope = Envelope("p:0", "c", "t", "INFO", "l", "e", "m", payload)
    assert json.loads(encode(envelope))["payload"] == payload


def test_a_task_s_body_is_what_celery_reads() -> None:
    args, kwargs, embed = json.loads(task_body("app.x", [encode(RECORD), encode(RECORD)]))
    assert (args[0], len(args[1]), kwargs) == ("app.x", 2, {})
    assert embed == {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@pytest.mark.parametrize("text", ["p:0", "a-b.c_d:12"])
def test_a_record_id_is_known(text: str) -> None:
    assert is_record_id(text)


@pytest.mark.parametrize("text", ["", "p", "p:", "p:01", "../p:0", "p:-1", "p:0\n", 7, None])
def test_what_is_no_record_id_is_known(text: object) -> None:
    assert not is_record_id(text)


def test_an_envelope_of_another_version_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="version 2"):
        decode({**json.loads(encode(RECORD)), "v": 2})
