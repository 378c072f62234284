"""A task's body is told from others by its ends, and what is in between parsed fast and without a loss."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superhero.transport.envelope import Envelope, encode, envelopes_in, parse, task_body

ENVELOPE = Envelope("p:0", "shop", "2026-01-31T12:00:00.000000Z", "INFO", "shop", None, "text", {"a": [1]})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_a_body_of_ours_is_known_by_its_ends_and_its_envelopes_come_out_as_bytes() -> None:
    encoded = [encode(ENVELOPE), encode(ENVELOPE)]
    found = envelopes_in(task_body("shop.orders", encoded))
    assert found == ("shop.orders", b"[" + b",".join(encoded) + b"]")


def test_text_is_as_good_as_bytes() -> None:
    body = task_body("shop", [encode(ENVELOPE._replace(message="Zoë 🦸"))])
    assert envelopes_in(body.decode()) == envelopes_in(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        None,
        json.dumps([["shop", []], {}, {}]).encode(),
        task_body("shop", [])[:-1],
        b" " + task_body("shop", []),
        task_body("../x", []),
        memoryview(task_body("shop", [])),
    ],
)
def test_any_other_body_is_left_to_celery(body: object) -> None:
    assert envelopes_in(body) is None


@given(json_values)
def test_parsing_loses_nothing(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**18, 10**40])
def test_a_large_whole_number_stays_whole(number: int) -> None:
    parsed = parse(b'{"n":%d}' % number)
    assert parsed == {"n": number}
    assert type(parsed["n"]) is int


def test_what_only_python_takes_for_json_is_parsed_as_python_does() -> None:
    assert parse(rb'"\ud800"') == "\ud800"
    assert math.isnan(parse(b"NaN"))


@pytest.mark.parametrize("text", [b"", b"[1],[2]", b"[1", b"\xff", b'{"a":}'])
def test_what_is_no_json_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse(text)
