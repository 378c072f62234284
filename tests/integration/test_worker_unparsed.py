"""A body goes through the parent as bytes: text stays as it was, what is broken inside goes to quarantine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.ops.processes import Processes
from superhero.ops.quarantine import Selection, look
from superhero.transport.compression import HEADER, ZSTD, compress
from superhero.transport.confirmed import RawMessage
from superhero.transport.envelope import encode, task_body, task_headers

pytestmark = pytest.mark.rabbitmq

INSIDE = {
    "no-json": (b'{"v":1,', "undecodable"),
    "more-arguments": (b"1],[2", "bad-task"),
    "bad-utf-8": (b'"\xff"', "undecodable"),
}


@pytest.fixture(params=["rabbitmq", "redis"])
def bench(request: pytest.FixtureRequest, processes: Processes, redis_url: str, tmp_path: Path) -> Bench:
    """Give the test a bench on each kind of broker."""
    broker = "broker_url" if request.param == "rabbitmq" else "redis_broker_url"
    return Bench(processes, request.getfixturevalue(broker), redis_url, tmp_path)


def test_what_turns_out_broken_in_the_child_goes_to_quarantine_as_it_came(
    bench: Bench, wait_until: WaitUntil
) -> None:
    worker = bench.worker()
    bodies = {name: task_body(CHANNEL, [inside]) for name, (inside, _) in INSIDE.items()}
    messages = [
        RawMessage(body, headers=task_headers(CHANNEL, name, 1, "?"), properties={"correlation_id": name})
        for name, body in bodies.items()
    ]
    bench.publish(*messages, task([envelope(0)]))
    wait_until(lambda: bench.record_ids() == ids([0]), 20)
    wait_until(lambda: len(list(look(bench.broker_url, Selection()))) == len(INSIDE), 20)
    letters = {each.message.headers["id"]: each for each in look(bench.broker_url, Selection())}
    assert {name: each.letter.reason for name, each in letters.items()} == {
        name: reason for name, (_, reason) in INSIDE.items()
    }
    assert {name: each.message.body for name, each in letters.items()} == bodies
    assert worker.running


def test_compressed_tasks_are_written_ours_and_those_that_celery_compressed(
    bench: Bench, wait_until: WaitUntil
) -> None:
    bench.worker()
    ours = [envelope(number) for number in range(100)]
    theirs = [[json.loads(encode(envelope(number)))] for number in range(100, 103)]
    bodies = {
        "ours": task_body(CHANNEL, [encode(each) for each in ours]),
        "theirs": json.dumps([[CHANNEL, theirs[0]], {}, {}]).encode(),
        "theirs, compact": json.dumps([[CHANNEL, theirs[1]], {}, {}], separators=(",", ":")).encode(),
        "theirs, begun otherwise": json.dumps([[CHANNEL, theirs[2]], {}, {}], indent=1).encode(),
    }
    for name, body in bodies.items():
        headers = {**task_headers(CHANNEL, name, 1, "?"), HEADER: ZSTD}
        bench.publish(RawMessage(compress(body), headers=headers, properties={"correlation_id": name}))
    wait_until(lambda: bench.record_ids() == ids(range(103)), 20)
    assert list(look(bench.broker_url, Selection())) == []


def test_text_of_any_alphabet_comes_out_as_it_was_logged(bench: Bench, wait_until: WaitUntil) -> None:
    bench.worker()
    message = "Zoë 🦸 勝つ \N{NULL}"
    bench.publish(task([envelope(0)._replace(message=message)]))
    wait_until(lambda: bench.record_ids() == ids([0]), 20)
    (path,) = (bench.folder / "data" / "superhero" / "RECORDS").glob("*.jsonl")
    assert json.loads(path.read_bytes())["message"] == message
