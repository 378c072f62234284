"""A pickle from the network runs nothing: not in a worker, not on its way through the quarantine."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.ops.depths import dead_letters
from superhero.ops.processes import Processes
from superhero.ops.quarantine import Selection, look, replay
from superhero.transport.confirmed import RawMessage
from superhero.transport.envelope import task_headers


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return self._path.touch, ()


@pytest.mark.parametrize("kind", [pytest.param("broker_url", marks=pytest.mark.rabbitmq), "redis_broker_url"])
@pytest.mark.parametrize("content_type", ["application/x-python-serialize", "application/json", "pickle"])
def test_a_pickle_is_quarantined_shown_and_replayed_and_never_run(
    kind: str,
    content_type: str,
    request: pytest.FixtureRequest,
    processes: Processes,
    redis_url: str,
    tmp_path: Path,
    wait_until: WaitUntil,
) -> None:
    ran = tmp_path / "it ran"
    body = pickle.dumps(Touch(ran))
    pickle.loads(body)  # noqa: S301  # our own, to see that it does something
    assert ran.exists(), "the pickle of this test does nothing at all"
    ran.unlink()

    broker_url = request.getfixturevalue(kind)
    bench = Bench(processes, broker_url, redis_url, tmp_path)
    bench.worker()
    headers = task_headers(CHANNEL, "an-id", 1, "tester:0")
    bench.publish(RawMessage(body, content_type, "binary", headers), task([envelope(1)]))
    wait_until(lambda: dead_letters(broker_url) == 1 and bench.record_ids() == ids([1]), 30)
    (letter,) = look(broker_url, Selection())
    assert letter.message.body == body
    assert replay(broker_url, Selection()).replayed == 1
    wait_until(lambda: dead_letters(broker_url) == 1, 30)
    assert not ran.exists()
