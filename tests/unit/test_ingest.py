"""Only the culprit of a batch is held back from the sink; what is counted as an attempt; what is a stall."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import pytest
from celery.exceptions import InvalidTaskError

from sinks.base import Append, Write, takes_iterators
from sinks.errors import TerminalSinkError, TransientSinkError
from sinks.jsonlines import JsonLinesSink
from sinks.several import SeveralSinks
from superhero.transport.dead_letters import Reason
from superhero.transport.envelope import Envelope
from tasks.attempts import delivery_count
from tasks.batches import IN_HAND, Record
from tasks.bodies import check
from tasks.ingest import write_all, write_isolating
from tasks.registry import Registry
from tasks.watch import RECONNECT_AFTER, REPLACE_AFTER, Look, Stall, Verdict


class PickySink:
    """A sink that refuses what it is told to, in its own words."""

    def __init__(self, refused: set[str], error: Exception) -> None:
        self.refused = refused
        self.error = error
        self.written: list[str] = []
        self.calls = 0

    def write(self, writes: Sequence[Write]) -> None:
        """Write all or nothing."""
        self.calls += 1
        found = [row["record_id"] for write in writes for row in write.rows]
        if self.refused & set(found):
            raise self.error
        self.written += found

    def close(self) -> None:
        """Hold nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def records(count: int) -> list[Record]:
    """Return so many good records."""
    return [
        Record(
            {"id": f"p:{n}"},
            Envelope(f"p:{n}", "c", "2026-01-31T12:00:00.000000Z", "INFO", "c", None, "m", None),
            [Append("RECORDS", [{"record_id": f"p:{n}"}])],
        )
        for n in range(count)
    ]


def test_a_batch_is_one_write() -> None:
    sink = PickySink(set(), ValueError())
    assert write_isolating(sink, Registry(), records(100)) == []
    assert sink.calls == 1


@pytest.mark.parametrize("error", [TerminalSinkError("no"), ValueError("a driver's own")])
def test_only_the_culprits_are_refused_and_few_writes_find_them(error: Exception) -> None:
    sink = PickySink({"p:7", "p:60"}, error)
    bad = write_isolating(sink, Registry(), records(100))
    assert [each.raw for each in bad] == [{"id": "p:7"}, {"id": "p:60"}]
    assert {each.reason for each in bad} == {Reason.SINK_REFUSED}
    assert sorted(sink.written) == sorted(f"p:{n}" for n in range(100) if n not in (7, 60))
    assert sink.calls < 40


def test_a_transient_error_decides_about_nobody() -> None:
    with pytest.raises(TransientSinkError):
        write_isolating(PickySink({"p:1"}, TransientSinkError("full")), Registry(), records(4))


class Counting(list[object]):
    """A list that knows how far it has been cut up."""

    looked_at = 0

    def __getitem__(self, key: Any) -> Any:
        self.looked_at = max(self.looked_at, key.stop)
        return super().__getitem__(key)


class OnceSink(PickySink):
    """Goes through its writes once; `at_first` is how many envelopes were looked at by the first of them."""

    takes_iterators = True

    def __init__(self, refused: set[str], error: Exception, raws: Counting | None = None) -> None:
        super().__init__(refused, error)
        self.raws = raws
        self.at_first: int | None = None

    def write(self, writes: Iterable[Write]) -> None:
        """Note how far its writes have been made."""
        writes = iter(writes)
        first = list(islice(writes, 1))
        self.at_first = None if self.raws is None else self.raws.looked_at
        super().write([*first, *writes])


def raws(count: int) -> list[object]:
    """Return so many envelopes as they come out of a task, the third of them none."""
    fields = {"v": 1, "channel": "c", "level": "INFO", "logger": "c", "event": None, "message": "m"}
    times = (f"2026-01-31T12:00:00.{number:06d}Z" for number in range(count))
    good: list[object] = [
        {**fields, "id": f"p:{number}", "time": time, "payload": None} for number, time in enumerate(times)
    ]
    return [*good[:2], None, *good[3:]]


@pytest.fixture
def registry() -> Registry:
    """Give a registry that makes a row of every record."""
    registry = Registry()

    @registry.whole_batch
    def rows(envelopes: Sequence[Envelope]) -> Iterable[Write]:
        yield Append("RECORDS", [{"record_id": envelope.id} for envelope in envelopes])

    return registry


@pytest.mark.parametrize("kind", [PickySink, OnceSink])
@pytest.mark.parametrize("count", [3, IN_HAND, IN_HAND + 1, 3 * IN_HAND + 7])
def test_all_records_of_a_task_reach_the_sink_by_one_write(
    registry: Registry, kind: type[PickySink], count: int
) -> None:
    sink = kind(set(), ValueError())
    passage = write_all(sink, registry, raws(count))
    assert sink.calls == 1
    assert sink.written == passage.ids == [f"p:{number}" for number in range(count) if number != 2]
    assert [(each.raw, each.reason) for each in passage.bad] == [(None, Reason.BAD_ENVELOPE)]
    assert passage.oldest == "2026-01-31T12:00:00.000000Z"


def test_a_sink_that_goes_through_its_writes_once_gets_them_as_they_are_made(registry: Registry) -> None:
    envelopes = Counting(raws(4 * IN_HAND))
    sink = OnceSink(set(), ValueError(), envelopes)
    write_all(sink, registry, envelopes)
    assert sink.at_first == IN_HAND
    assert len(sink.written) == 4 * IN_HAND - 1


@pytest.mark.parametrize("kind", [PickySink, OnceSink])
def test_what_a_sink_can_never_hold_is_set_aside_beside_what_is_no_envelope(
    registry: Registry, kind: type[PickySink]
) -> None:
    count = IN_HAND + 100
    sink = kind({"p:7", f"p:{IN_HAND + 1}"}, TerminalSinkError("no"))
    passage = write_all(sink, registry, raws(count))
    assert [each.reason for each in passage.bad] == [Reason.BAD_ENVELOPE, *[Reason.SINK_REFUSED] * 2]
    assert sorted(sink.written) == sorted(passage.ids)
    assert len(passage.ids) == count - 3


@pytest.mark.parametrize("kind", [PickySink, OnceSink])
def test_a_transient_error_comes_out_of_the_whole_task_too(registry: Registry, kind: type[PickySink]) -> None:
    with pytest.raises(TransientSinkError):
        write_all(kind({"p:1"}, TransientSinkError("full")), registry, raws(IN_HAND * 2))


def test_a_sink_that_stops_halfway_is_an_error_and_no_loss(registry: Registry) -> None:
    class Lazy(OnceSink):
        takes_iterators = True

        def write(self, writes: Iterable[Write]) -> None:
            next(iter(writes))

    with pytest.raises(RuntimeError, match="Lazy did not go through all writes"):
        write_all(Lazy(set(), ValueError()), registry, raws(IN_HAND * 2))


def test_a_sink_that_derives_from_one_and_looks_first_is_given_a_list(
    registry: Registry, tmp_path: Path
) -> None:
    class Looking(JsonLinesSink):
        rows = 0

        def write(self, writes: Iterable[Write]) -> None:
            self.rows += sum(len(write.rows) for write in writes)
            super().write(writes)

    sink = Looking(tmp_path)
    passage = write_all(sink, registry, raws(IN_HAND * 2))
    (path,) = tmp_path.rglob("*.jsonl")
    assert sink.rows == len(path.read_bytes().splitlines()) == len(passage.ids)


def test_the_sink_of_json_lines_is_given_its_writes_as_they_are_made(
    registry: Registry, tmp_path: Path
) -> None:
    sink = JsonLinesSink(tmp_path)
    assert takes_iterators(sink) and not takes_iterators(SeveralSinks([sink]))
    passage = write_all(sink, registry, raws(IN_HAND * 2))
    (path,) = tmp_path.rglob("*.jsonl")
    assert [json.loads(line)["record_id"] for line in path.read_bytes().splitlines()] == passage.ids


def test_only_records_with_steps_are_kept_for_them(registry: Registry) -> None:
    registry.after_write(channel="c", event="done")(lambda envelope, event: None)
    envelopes = raws(IN_HAND * 2)
    envelopes[5] = {**cast("dict[str, object]", envelopes[5]), "event": "done"}
    passage = write_all(PickySink(set(), ValueError()), registry, envelopes)
    assert [record.envelope.id for record in passage.with_steps] == ["p:5"]


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        ({}, 0),
        ({"x-delivery-count": 3}, 3),
        ({"x-delivery-count": "many"}, 0),
        ({"x-delivery-count": -1}, 0),
        ({"x-delivery-count": True}, 0),
    ],
)
def test_earlier_deliveries_are_what_the_broker_counted(headers: dict[str, Any], count: int) -> None:
    assert delivery_count(headers) == count


OPTIONS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        [[], {}],
        [["c", []], {}, None],
        [["c", []], None, OPTIONS],
        [["c", []], {"x": 1}, OPTIONS],
        [["c"], {}, OPTIONS],
        [["c", [], 1], {}, OPTIONS],
        ["c", {}, OPTIONS],
        [[1, []], {}, OPTIONS],
        [["", []], {}, OPTIONS],
        [["../c", []], {}, OPTIONS],
        [["c" * 121, []], {}, OPTIONS],
        [["c", {}], {}, OPTIONS],
        [["c", []], {}, {**OPTIONS, "chain": [{"task": "x"}]}],
    ],
)
def test_a_task_of_the_wrong_shape_is_refused_before_a_child_sees_it(payload: object) -> None:
    with pytest.raises(InvalidTaskError):
        check("an-id", payload)


@pytest.mark.parametrize("task_id", [None, "", 7, ["x"], {"a": 1}])
def test_a_task_without_an_id_is_refused(task_id: object) -> None:
    with pytest.raises(InvalidTaskError):
        check(task_id, [["c", []], {}, OPTIONS])


def test_a_task_of_the_right_shape_passes() -> None:
    check("an-id", [["superhero.game", [{}]], {}, OPTIONS])


def idle(turns: int, ready: int = 3) -> Look:
    """Return a look at an idle worker."""
    return Look(ready=ready, in_hand=0, deliveries=5, turns=turns)


def test_a_worker_that_leaves_messages_lying_is_made_to_connect_and_then_replaced() -> None:
    stall = Stall()
    verdicts = [stall.judge(idle(turns)) for turns in range(REPLACE_AFTER + 1)]
    assert verdicts.index(Verdict.RECONNECT) == RECONNECT_AFTER
    assert verdicts.index(Verdict.REPLACE) == REPLACE_AFTER
    assert verdicts.count(Verdict.RECONNECT) == 1


def test_a_worker_with_nothing_to_do_is_fine() -> None:
    stall = Stall()
    assert {stall.judge(idle(turns, ready=0)) for turns in range(20)} == {Verdict.FINE}


def test_a_worker_at_work_is_fine_however_long_its_queue() -> None:
    stall = Stall()
    looks = [Look(ready=1000, in_hand=4, deliveries=9, turns=turns) for turns in range(20)]
    assert {stall.judge(look) for look in looks} == {Verdict.FINE}


def test_a_worker_that_gets_messages_is_fine_however_long_its_queue() -> None:
    stall = Stall()
    looks = [Look(ready=1000, in_hand=0, deliveries=turns, turns=turns) for turns in range(20)]
    assert {stall.judge(look) for look in looks} == {Verdict.FINE}


def test_an_event_loop_that_stands_still_is_replaced_even_with_nothing_to_do() -> None:
    stall = Stall()
    verdicts = [
        stall.judge(Look(ready=0, in_hand=2, deliveries=1, turns=7)) for _ in range(REPLACE_AFTER + 1)
    ]
    assert verdicts == [Verdict.FINE] * REPLACE_AFTER + [Verdict.REPLACE]


def test_a_broker_that_does_not_answer_excuses_everything() -> None:
    stall = Stall()
    for _ in range(10):
        assert stall.judge(idle(0)) is Verdict.FINE
        assert stall.judge(None) is Verdict.FINE
