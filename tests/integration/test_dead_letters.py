"""Every message that is no task of ours ends in quarantine as it came, and takes nobody with it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, body_of, envelope, ids, task

from superhero.ops.processes import Processes
from superhero.ops.quarantine import DeadLetter, Selection, look
from superhero.transport.compression import LARGEST_BYTES, ZSTD, compress
from superhero.transport.confirmed import RawMessage
from superhero.transport.envelope import INGEST_TASK, encode, task_body, task_headers

GOOD = json.loads(encode(envelope(0)))
BODY = task_body(CHANNEL, [encode(envelope(0))] * 10)
NO_OPTIONS: dict[str, Any] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def with_body(body: bytes, **more: Any) -> RawMessage:
    """Return a message with the headers of an ingest task and another body."""
    return RawMessage(body, headers=headers(), **more)


def with_args(*args: object, kwargs: object = None, options: object = None) -> RawMessage:
    """Return an ingest task with these arguments."""
    return with_body(body_of([list(args), kwargs or {}, options or NO_OPTIONS]))


def headers(**changes: Any) -> dict[str, Any]:
    """Return an ingest task's headers; a change to `...` leaves one out."""
    all_headers = {**task_headers(CHANNEL, "an-id", 1, "tester:0"), **changes}
    return {name: value for name, value in all_headers.items() if value is not ...}


def compressed(body: bytes) -> RawMessage:
    """Return a message that says that its body is compressed as ours are."""
    return RawMessage(body, headers=headers(compression=ZSTD))


def with_headers(**changes: Any) -> RawMessage:
    """Return a good body with changed headers."""
    return RawMessage(body_of([[CHANNEL, [GOOD]], {}, NO_OPTIONS]), headers=headers(**changes))


MALFORMED: Mapping[str, tuple[RawMessage, str]] = {
    "a body that is not JSON": (with_body(b"{nope"), "undecodable"),
    "an empty body": (with_body(b""), "bad-task"),
    "bytes that are not UTF-8": (with_body(b'["\xff\xfe"]'), "undecodable"),
    "JSON nested 100,000 deep": (with_body(b"[" * 100_000), "undecodable"),
    "a wrong content type": (with_body(b"hello", content_type="text/plain"), "undecodable"),
    "no content type": (with_body(b"hello", content_type=None, content_encoding=None), "bad-task"),
    "a pickle": (
        with_body(b"\x80\x04N.", content_type="application/x-python-serialize", content_encoding="binary"),
        "undecodable",
    ),
    "an unknown encoding": (with_body(b"[]", content_encoding="klingon"), "bad-task"),
    "an unknown compression": (
        RawMessage(b"[]", headers=headers(compression="application/x-none")),
        "undecodable",
    ),
    "a compressed body of another kind": (
        RawMessage(zlib.compress(b"[]"), headers=headers(compression="application/x-gzip")),
        "undecodable",
    ),
    "a compressed body that is none": (compressed(b"(nope"), "undecodable"),
    "a compressed body without its end": (compressed(compress(BODY)[:-5]), "undecodable"),
    "a compressed body that goes on behind its end": (compressed(compress(BODY) * 2), "undecodable"),
    "a few bytes that become too many": (
        compressed(compress(BODY[:-1] + b" " * LARGEST_BYTES + BODY[-1:])),
        "undecodable",
    ),
    "a compressed body that is not JSON": (compressed(compress(b"{nope")), "undecodable"),
    "a large compressed body of another shape": (
        compressed(compress(b"[" + b"{}," * 400_000 + b"{}]")),
        "undecodable",
    ),
    "a compressed body of another shape": (compressed(compress(b'{"args": 1}')), "bad-task"),
    "a compressed body with keyword arguments": (
        compressed(compress(body_of([[CHANNEL, [GOOD]], {"x": 1}, NO_OPTIONS]))),
        "bad-task",
    ),
    "a compressed body with envelopes that are an object": (
        compressed(compress(body_of([[CHANNEL, {"a": 1}], {}, NO_OPTIONS]))),
        "bad-task",
    ),
    "a compressed body that ends like none": (compressed(compress(BODY[:-1])), "undecodable"),
    "a compressed list that says it is none": (
        RawMessage(
            b'[["%b",%b' % (CHANNEL.encode(), compress(b"{}")) + BODY[BODY.index(b"],{},{") :],
            headers=headers(),
        ),
        "undecodable",
    ),
    "ten megabytes of anything": (with_body(b"x" * 10_000_000), "undecodable"),
    "no headers": (RawMessage(b'{"a": 1}'), "not-a-task"),
    "no headers and no JSON": (RawMessage(b"\x80\x04N."), "undecodable"),
    "a pickle without headers": (
        RawMessage(b"\x80\x04N.", content_type="application/x-python-serialize", content_encoding="binary"),
        "undecodable",
    ),
    "protocol 1 with an unknown task": (
        RawMessage(body_of({"task": "a.b", "id": "1", "args": [], "kwargs": {}})),
        "unknown-task",
    ),
    "protocol 1 without arguments": (RawMessage(body_of({"task": INGEST_TASK, "id": "1"})), "bad-task"),
    "an unknown task": (with_headers(task="no.such.task"), "unknown-task"),
    "an unknown task without an id": (with_headers(task="no.such.task", id=...), "unknown-task"),
    "a task name that is a list": (with_headers(task=["a"]), "bad-task"),
    "a task name that is a number": (with_headers(task=7), "unknown-task"),
    "no id": (with_headers(id=...), "bad-task"),
    "an id that is a table": (with_headers(id={"a": 1}), "bad-task"),
    "an id that is empty": (with_headers(id=""), "bad-task"),
    "a time to run at that is none": (with_headers(eta="tomorrow"), "bad-task"),
    "an expiry that is none": (with_headers(expires=["x"]), "bad-task"),
    "a body that is a number": (with_body(b"7"), "bad-task"),
    "a body that is null": (with_body(b"null"), "bad-task"),
    "a body that is an object": (with_body(b'{"args": 1}'), "bad-task"),
    "a body of two parts": (with_body(b"[[], {}]"), "bad-task"),
    "arguments that are text": (with_body(body_of(["ab", {}, NO_OPTIONS])), "bad-task"),
    "too few arguments": (with_args(CHANNEL), "bad-task"),
    "too many arguments": (with_args(CHANNEL, [], 3), "bad-task"),
    "keyword arguments": (with_args(CHANNEL, [GOOD], kwargs={"x": 1}), "bad-task"),
    "a channel that is a path": (with_args("../../etc", [GOOD]), "bad-task"),
    "a channel that is null": (with_args(None, [GOOD]), "bad-task"),
    "envelopes that are an object": (with_args(CHANNEL, {"a": 1}), "bad-task"),
    "a callback": (with_args(CHANNEL, [GOOD], options={"callbacks": [{"task": "x"}]}), "bad-task"),
    "a record that is null": (with_args(CHANNEL, [None]), "bad-envelope"),
    "a record of the next version": (with_args(CHANNEL, [{**GOOD, "v": 2}]), "bad-envelope"),
    "a record id that is a path": (with_args(CHANNEL, [{**GOOD, "id": "../x:1"}]), "bad-envelope"),
    "a payload that does not fit its event": (
        with_args(CHANNEL, [{**GOOD, "event": "game.attack", "payload": {"x": 1}}]),
        "pipeline-failed",
    ),
}


@pytest.fixture(params=["rabbitmq", "redis"])
def bench(request: pytest.FixtureRequest, processes: Processes, redis_url: str, tmp_path: Path) -> Bench:
    """Give the test a bench on each kind of broker."""
    broker = "broker_url" if request.param == "rabbitmq" else "redis_broker_url"
    return Bench(processes, request.getfixturevalue(broker), redis_url, tmp_path)


def letters(bench: Bench) -> list[DeadLetter]:
    """Return what is in quarantine."""
    return list(look(bench.broker_url, Selection()))


def test_every_malformed_message_goes_to_quarantine_as_it_came(bench: Bench, wait_until: WaitUntil) -> None:
    worker = bench.worker()
    for name, (message, _) in MALFORMED.items():
        named = RawMessage(
            message.body,
            message.content_type,
            message.content_encoding,
            {**message.headers, "which": name},
        )
        bench.publish(named)
    bench.publish(task([envelope(1)]))

    wait_until(lambda: bench.record_ids() == ids([1]) and len(letters(bench)) == len(MALFORMED), 30, 0.2)

    found = {str(each.message.headers.get("which", "?")): each for each in letters(bench)}
    reasons = {name: found[name].letter.reason for name in MALFORMED if name in found}
    by_itself = {"a record that is null", "a record of the next version", "a record id that is a path"}
    by_itself.add("a payload that does not fit its event")  # these are sent on as tasks of their own
    assert reasons == {name: reason for name, (_, reason) in MALFORMED.items() if name not in by_itself}
    assert sorted(each.letter.reason for each in letters(bench)) == sorted(
        reason for _, reason in MALFORMED.values()
    )
    for name in reasons:
        message, letter = MALFORMED[name][0], found[name]
        assert letter.message.body == message.body, name
        assert letter.message.content_type == message.content_type, name
        assert {**letter.message.headers, "which": name} == letter.message.headers
        assert all(letter.message.headers.get(key) == value for key, value in message.headers.items()), name
        assert letter.letter.channel == CHANNEL
        assert letter.letter.error
    assert worker.running
    log = worker.log_path.read_text()
    assert log.count("ready.") == 1, "it had to reconnect"
    assert f"into quarantine, from channel {CHANNEL}: record {GOOD['id']}, pipeline-failed" in log
    assert f"into quarantine, from channel {CHANNEL}: a message that shows no record id, undecodable" in log
    assert "../x" not in log


def mutated(number: int, chance: Random) -> RawMessage:
    """Return the task of one record with something about it changed by chance."""
    message = task([envelope(number * 1_000_003)], task_id=f"task-{number}")
    body, changed = bytearray(message.body), dict(message.headers)
    for _ in range(chance.choice([0, 1, 1, 2, 5, 50])):
        what = chance.randrange(4)
        if what == 0:
            body[chance.randrange(len(body))] = chance.randrange(256)
        elif what == 1:
            del body[chance.randrange(len(body)) :]
            body += b"\x00"
        elif what == 2:
            changed.pop(chance.choice(sorted(changed)), None) if changed else None
        else:
            changed[
                chance.choice(["task", "id", "eta", "expires", "retries", "timelimit", "group", "lang"])
            ] = chance.choice([None, "", 7, -1, 1.5, True, [], ["x"], {}, {"a": [1]}, "x" * 300, "\u2603"])
    return RawMessage(bytes(body), headers=changed)


@pytest.mark.parametrize("seed", [7])
def test_every_message_changed_by_chance_is_in_the_sink_or_in_quarantine(
    bench: Bench, wait_until: WaitUntil, seed: int
) -> None:
    chance, count = Random(seed), 400
    worker = bench.worker(concurrency=2)
    bench.publish(*(mutated(number, chance) for number in range(count)))
    wait_until(lambda: len(bench.record_ids()) + len(letters(bench)) >= count, 60, 0.3)
    assert len(bench.record_ids()) + len(letters(bench)) == count
    assert len(letters(bench)) > count / 4
    assert len(bench.record_ids()) > count / 8
    assert worker.log_path.read_text().count("ready.") == 1
    assert "Connection to broker lost" not in worker.log_path.read_text()
