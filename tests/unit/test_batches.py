"""Sorting a batch: one bad record leaves the others alone, and everything can be sent on as it came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base import Append, Write
from superhero.transport.dead_letters import Reason
from superhero.transport.envelope import Envelope, encode
from tasks.batches import singly, sort_out, task_message, writes_of
from tasks.registry import Registry

CHANNEL = "superhero.test"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def raw(number: int, event: str | None = None) -> dict[str, Any]:
    """Return a record as it comes out of a task's body."""
    envelope = Envelope(f"p:{number}", CHANNEL, "2026-01-31T12:00:00.000000Z", "INFO", "l", event, "m", None)
    decoded: dict[str, Any] = json.loads(encode(envelope))
    return decoded


@pytest.fixture
def registry() -> Registry:
    """Give a pipeline that writes every record, and one with a bug for one event."""
    registry = Registry()

    @registry.pipeline()
    def records(envelope: Envelope, event: object) -> Iterable[Write]:
        yield Append("RECORDS", [{"record_id": envelope.id}])

    @registry.pipeline(event="bug")
    def bug(envelope: Envelope, event: object) -> Iterable[Write]:
        raise LookupError("a bug")

    return registry


def test_good_records_keep_their_order(registry: Registry) -> None:
    batch = sort_out(registry, [raw(2), raw(0), raw(1)])
    assert [record.envelope.id for record in batch.good] == ["p:2", "p:0", "p:1"]
    assert batch.bad == []
    assert writes_of(registry, batch.good) == [
        Append("RECORDS", [{"record_id": f"p:{n}"}]) for n in (2, 0, 1)
    ]


def test_what_is_no_envelope_is_sorted_out_with_the_reason(registry: Registry) -> None:
    batch = sort_out(registry, [raw(0), None, {**raw(1), "id": "../x"}])
    assert [record.envelope.id for record in batch.good] == ["p:0"]
    assert [bad.reason for bad in batch.bad] == [Reason.BAD_ENVELOPE] * 2
    assert "../x" in batch.bad[1].error


def test_a_bug_in_a_pipeline_is_held_against_its_record(registry: Registry) -> None:
    batch = sort_out(registry, [raw(0, "bug"), raw(1)])
    assert [record.envelope.id for record in batch.good] == ["p:1"]
    (bad,) = batch.bad
    assert (bad.raw, bad.reason) == (raw(0, "bug"), Reason.PIPELINE_FAILED)
    assert re.fullmatch(r"\S*bug \(tests/unit/test_batches\.py:\d+\): LookupError: a bug", bad.error)
    assert bad.blamed is not None
    assert isinstance(bad.blamed.__cause__, LookupError)


def test_what_wants_every_record_gets_the_good_ones_of_a_batch_at_once(registry: Registry) -> None:
    @registry.whole_batch
    def all_of_them(envelopes: Sequence[Envelope]) -> Iterable[Write]:
        yield Append("ALL", [{"record_id": envelope.id} for envelope in envelopes])

    batch = sort_out(registry, [raw(0), raw(1, "bug"), raw(2, "another")])
    of_all, *each = writes_of(registry, batch.good)
    assert of_all == Append("ALL", [{"record_id": "p:0"}, {"record_id": "p:2"}])
    assert each == [Append("RECORDS", [{"record_id": f"p:{n}"}]) for n in (0, 2)]


@given(st.lists(JSON, max_size=5))
def test_anything_is_sorted_and_nothing_is_left_out(raws: list[object]) -> None:
    batch = sort_out(Registry(), raws)
    assert len(batch.good) + len(batch.bad) == len(raws)


@given(st.lists(JSON, min_size=1, max_size=5))
def test_records_are_sent_on_as_they_came(raws: list[object]) -> None:
    args, kwargs, options = json.loads(task_message(CHANNEL, "an-id", raws).body)
    assert args == [CHANNEL, raws]
    assert kwargs == {}
    assert not any(options.values())


def test_a_lone_surrogate_is_sent_on_as_it_came() -> None:
    message = task_message(CHANNEL, "an-id", [{"id": "\ud800"}])
    assert json.loads(message.body)[0] == [CHANNEL, [{"id": "\ud800"}]]


def test_a_record_may_be_given_back_any_number_of_times() -> None:
    task_id = "an-id"
    for _ in range(300):
        (message,) = singly(CHANNEL, task_id, [raw(0)])
        task_id = message.headers["id"]
    assert len(task_id) == 36, "an id of AMQP holds 255 bytes"


def test_taken_apart_a_batch_gives_the_same_tasks_each_time() -> None:
    first, again = (list(singly(CHANNEL, "an-id", [raw(0), raw(1)])) for _ in range(2))
    assert first == again
    assert len({message.headers["id"] for message in first}) == 2
    assert [json.loads(message.body)[0][1] for message in first] == [[raw(0)], [raw(1)]]
