"""A dead letter is the message as it came and says why it is there; taken back, it is as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from superhero.ops.quarantine import DeadLetter, Selection
from superhero.transport.compression import is_compressed
from superhero.transport.confirmed import RawMessage
from superhero.transport.dead_letters import Letter, Reason, absolve, condemn, sentence
from tasks.batches import task_message
from tasks.quarantine import _named

MESSAGE = RawMessage(b"\x00\xff", "text/plain", None, {"task": "x", "n": 1}, {"correlation_id": "c"}, 3)


def test_a_letter_keeps_the_message_and_can_be_taken_back() -> None:
    letter = condemn(MESSAGE, "a.channel", Reason.UNDECODABLE, "it is not JSON")
    assert letter.body == MESSAGE.body
    assert letter.headers.items() >= MESSAGE.headers.items()
    assert absolve(letter) == MESSAGE


def test_a_letter_says_why_it_is_there() -> None:
    letter = Letter.of(condemn(MESSAGE, "a.channel", Reason.BAD_TASK, "x" * 5000).headers, "another")
    assert (letter.channel, letter.reason) == ("a.channel", "bad-task")
    assert letter.error == "x" * 1000
    assert abs(datetime.fromisoformat(letter.time) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_letter_that_was_replayed_and_came_back_says_the_last_reason() -> None:
    first = condemn(MESSAGE, "a.channel", Reason.SINK_REFUSED, "first")
    again = condemn(absolve(first), "a.channel", Reason.STEP_FAILED, "again")
    assert Letter.of(again.headers, "").error == "again"


def test_a_letter_of_rabbitmqs_own_is_read_by_its_x_death() -> None:
    time = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    death = {"reason": "delivery_limit", "queue": "a.channel", "time": time, "count": 1}
    letter = Letter.of({"task": "x", "x-death": [death]}, "a.channel")
    assert (letter.channel, letter.reason) == ("a.channel", "delivery_limit")
    assert letter.time == "2026-01-31T12:00:00.000000Z"
    assert "kills its worker" in letter.error


@pytest.mark.parametrize("deaths", [None, [], "x", [3], [{}], {"reason": "x"}])
def test_headers_that_say_nothing_give_an_unknown_reason(deaths: object) -> None:
    letter = Letter.of({"x-death": deaths}, "a.channel")
    assert (letter.channel, letter.reason, letter.time) == ("a.channel", "unknown", "")


def test_an_error_becomes_one_line() -> None:
    assert sentence(ValueError("two\n  lines")) == "ValueError: two lines"


def dead(age_s: float | None, now: datetime) -> DeadLetter:
    """Return a letter of that age."""
    time = "" if age_s is None else (now - timedelta(seconds=age_s)).isoformat()
    return DeadLetter("3f9a", Letter("a.channel", "bad-task", "", time), MESSAGE)


def test_a_selection_takes_what_all_its_conditions_take() -> None:
    now = datetime.now(UTC)
    old = dead(100, now)
    assert Selection(now=now).takes(old)
    assert Selection(id="3f", channel="a.channel", reason="bad-task", older_than_s=99, now=now).takes(old)
    assert not Selection(id="9", now=now).takes(old)
    assert not Selection(channel="b", now=now).takes(old)
    assert not Selection(reason="x", now=now).takes(old)
    assert not Selection(older_than_s=101, now=now).takes(old)


def test_a_letter_of_unknown_age_is_never_old_enough() -> None:
    now = datetime.now(UTC)
    assert not Selection(older_than_s=0, now=now).takes(dead(None, now))
    assert Selection(now=now).takes(dead(None, now))


def test_the_log_names_the_records_of_a_letter_compressed_or_not() -> None:
    for size, named in ((1, "record p:0"), (300, "records p:0 and 299 more")):
        raws = [{"v": 1, "id": f"p:{number}", "channel": "shop"} for number in range(size)]
        message = task_message("shop", "an-id", raws)
        assert is_compressed(message.headers) == (size > 1)
        assert _named(message) == named
