"""What stands in a list on a Redis broker is a message that kombu can read, or it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.virtual import Base64, Message

from tasks.redis_channel import parse

GOOD: dict[str, Any] = {
    "body": "e30=",
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {},
    "properties": {
        "body_encoding": "base64",
        "delivery_tag": "a",
        "delivery_info": {"exchange": "superhero", "routing_key": "superhero.test"},
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


class Codec:
    """What a message asks of its channel."""

    def decode_body(self, body: str, encoding: str | None) -> Any:
        return Base64().decode(body) if encoding and encoding != "utf-8" else body


def as_kombu_does(item: bytes) -> None:
    """Make kombu's message of what `parse` let pass."""
    message = Message(parse(item), channel=Codec())
    assert isinstance(message.delivery_tag, str)
    assert {"exchange", "routing_key"} <= set(message.delivery_info)


def test_a_message_of_kombus_passes() -> None:
    as_kombu_does(json.dumps(GOOD).encode())


@given(st.binary(max_size=50))
def test_bytes_pass_or_are_refused(item: bytes) -> None:
    with pytest.raises(ValueError):
        parse(item)


@given(st.sampled_from(sorted(GOOD)), JSON)
def test_a_message_with_one_field_changed_is_readable_or_refused(name: str, value: object) -> None:
    item = json.dumps({**GOOD, name: value}).encode()
    try:
        parse(item)
    except ValueError:
        return
    as_kombu_does(item)


@given(st.sampled_from(sorted(GOOD["properties"])), JSON)
def test_a_message_with_one_property_changed_is_readable_or_refused(name: str, value: object) -> None:
    item = json.dumps({**GOOD, "properties": {**GOOD["properties"], name: value}}).encode()
    try:
        parse(item)
    except ValueError:
        return
    as_kombu_does(item)
