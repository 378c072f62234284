"""What of a record travels, whatever is in it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from superhero.transport.capture import Capture
from superhero.transport.envelope import Envelope, decode, with_id


def captured(capture: Capture | None = None, **of_record: Any) -> Envelope:
    capture = capture or Capture(1024 * 1024)
    record = logging.makeLogRecord({"name": "app", "msg": "text", "levelname": "INFO", **of_record})
    taken = capture.take(record)
    assert taken is not None
    return decode(json.loads(with_id("p:0", taken[1])))


class Hostile:
    """Raises whenever somebody wants to see it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_the_time_is_in_utc_with_microseconds() -> None:
    created = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC).timestamp()
    assert captured(created=created).time == "2026-01-31T12:00:00.000005Z"
    assert captured(created=1769860799.9999996).time == "2026-01-31T12:00:00.000000Z"
    # A float falls short of most decimal fractions: cut off instead of rounded, this would be .019999.
    assert captured(created=1767225602.02).time == "2026-01-01T00:00:02.020000Z"


@given(st.lists(st.integers(-3_000, 3_000)), st.integers(0, 4_000_000_000))
def test_the_time_is_right_whatever_the_time_of_the_record_before(steps: list[int], second: int) -> None:
    """Records of several threads may come a little out of order, also where a second or millisecond ends."""
    capture, micros = Capture(1024 * 1024), second * 1_000_000
    for step in steps:
        micros = max(micros + step, 0)
        told = captured(capture, created=micros / 1e6).time
        whole = datetime.fromtimestamp(micros // 1_000_000, UTC)
        assert told == f"{whole:%Y-%m-%dT%H:%M:%S}.{micros % 1_000_000:06d}Z"


def test_a_logger_s_name_becomes_a_channel_that_is_safe_everywhere() -> None:
    envelope = captured(name="../étc/\0passwd")
    assert (envelope.channel, envelope.logger) == ("_.__tc__passwd", "../étc/\0passwd")


def test_a_record_may_say_its_channel() -> None:
    assert captured(channel="my.channel").channel == "my.channel"
    assert captured(channel="my channel!").channel == "my_channel_"


def test_an_exception_stands_below_the_text() -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        message = captured(exc_info=sys.exc_info()).message
    assert message.startswith("text\nTraceback") and message.endswith("KeyError: 'missing'")


def test_a_stack_stands_below_the_text() -> None:
    assert captured(stack_info="Stack (most recent call last): ...").message.endswith("call last): ...")


def test_values_that_json_does_not_know_go_as_text() -> None:
    payload = {"d": Decimal("1.50"), "p": PurePosixPath("/tmp"), "t": datetime(2026, 1, 31), "b": b"x", 1: 2}
    assert captured(payload=payload).payload == {
        "d": "1.50",
        "p": "/tmp",
        "t": "2026-01-31 00:00:00",
        "b": "b'x'",
        "1": 2,
    }


def test_numbers_of_any_size_and_lone_surrogates_travel() -> None:
    envelope = captured(msg="a\ud800b", payload={"big": 1 << 200, "uint64": (1 << 64) - 1})
    assert (envelope.message, envelope.payload) == ("a?b", {"big": 1 << 200, "uint64": (1 << 64) - 1})


def test_a_payload_that_is_no_mapping_is_put_into_one() -> None:
    assert captured(payload=[1, 2]).payload == {"value": [1, 2]}


def test_a_payload_that_contains_itself_goes_as_its_repr() -> None:
    capture = Capture(1024 * 1024)
    payload: dict[str, Any] = {"name": "loop"}
    payload["itself"] = payload
    envelope = captured(capture, event="e", payload=payload)
    assert envelope.event == "e" and envelope.payload is not None
    assert "'name': 'loop'" in envelope.payload["repr"]
    assert capture.cut == 1


def test_a_payload_whose_values_raise_still_travels() -> None:
    envelope = captured(payload={"bad": Hostile()})
    assert envelope.payload is not None and "RuntimeError" in envelope.payload["cut"]


def test_a_record_that_is_too_large_goes_with_its_payload_cut() -> None:
    capture = Capture(10_000)
    envelope = captured(capture, msg="m" * 9000, event="e" * 9000, payload={"x": "y" * 100_000})
    assert envelope.payload is not None and "larger than 10000 bytes" in envelope.payload["cut"]
    assert (len(envelope.message), capture.cut) == (8192, 1)


def test_arguments_that_do_not_fit_stand_beside_the_text() -> None:
    assert "%d [arguments ('x',) do not fit" in captured(msg="%d", args=("x",)).message
    assert "[arguments" in captured(msg="%s", args=(Hostile(),)).message


def test_an_event_that_is_no_text_goes_as_its_text() -> None:
    assert captured(event=7).event == "7"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
)


@given(st.text(), st.text(), anything, anything)
def test_whatever_is_logged_arrives_as_an_envelope(name: str, text: str, payload: Any, event: Any) -> None:
    if name.partition(".")[0] in {"amqp", "billiard", "celery", "kombu", "redis", "vine"}:
        name = "app"
    envelope = captured(name=name, msg=text, payload=payload, event=event)
    assert envelope.message == text.encode("utf-8", "replace").decode()
