"""The handler as a program meets it, with a broker played by a script."""

from __future__ import annotations

import gc
import json
import logging
import logging.config
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from patience import WaitUntil

from superhero.errors import TransportError
from superhero.testing import CollectingHandler, ScriptedSender
from superhero.transport import CeleryHandler, Counters
from superhero.transport.envelope import encode_fields

Log = tuple[logging.Logger, CeleryHandler, ScriptedSender]


@pytest.fixture
def attach() -> Iterator[Callable[[logging.Handler], logging.Logger]]:
    loggers: list[tuple[logging.Logger, logging.Handler]] = []

    def attach_to_logger(handler: logging.Handler) -> logging.Logger:
        logger = logging.getLogger("app.orders")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(handler)
        loggers.append((logger, handler))
        return logger

    yield attach_to_logger
    for logger, handler in loggers:
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture
def log(attach: Callable[[logging.Handler], logging.Logger]) -> Log:
    sender = ScriptedSender()
    handler = CeleryHandler(sender=lambda: sender, flush_timeout_s=2.0)
    return attach(handler), handler, sender


def arrived(sender: ScriptedSender) -> list[dict[str, Any]]:
    return [json.loads(record) for lease in sender.arrived for record in lease.encoded]


def test_a_record_travels_with_its_event_and_payload(log: Log) -> None:
    logger, handler, sender = log
    logger.info("order %d paid", 7, extra={"event": "order.paid", "payload": {"order": 7}})
    assert handler.flush()
    (record,) = arrived(sender)
    assert record["message"] == "order 7 paid"
    assert (record["event"], record["payload"]) == ("order.paid", {"order": 7})
    assert (record["channel"], record["logger"], record["level"]) == ("app.orders", "app.orders", "INFO")


def test_dict_config_alone_makes_a_working_handler() -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "incremental": False,
            "disable_existing_loggers": False,
            "handlers": {
                "pipeline": {
                    "class": "superhero.transport.CeleryHandler",
                    "broker_url": "amqp://127.0.0.1:1//",
                    "level": "WARNING",
                    "max_records": 10,
                    "flush_timeout_s": 0.0,
                }
            },
            "loggers": {"app.configured": {"handlers": ["pipeline"], "propagate": False}},
        }
    )
    logger = logging.getLogger("app.configured")
    (handler,) = logger.handlers
    assert isinstance(handler, CeleryHandler)
    logger.info("below the level")
    assert handler.counters() == Counters()
    logger.removeHandler(handler)
    handler.close()


@pytest.mark.parametrize("url", ["", "http://127.0.0.1", "amqp://127.0.0.1;mqtt://u:secret@127.0.0.1"])
def test_a_broker_url_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(TransportError, match="must begin with one of amqp") as refused:
        CeleryHandler(broker_url=url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["amqp://me:s3cr/et@host//", "amqp://h//;amqp://h:99999//", "redis://h/x"])
def test_a_broker_url_whose_port_cannot_be_read_is_refused_likewise(url: str) -> None:
    with pytest.raises(TransportError, match=r"a broker_url cannot be used: .*percent-encoded") as refused:
        CeleryHandler(broker_url=url)
    assert "s3cr" not in str(refused.value) and refused.value.__cause__ is not None
    assert "s3cr" not in str(refused.value.__cause__) and refused.value.__cause__.__context__ is None


def test_ids_of_a_channel_count_from_zero_without_a_gap(log: Log) -> None:
    logger, handler, sender = log
    for number in range(5):
        logger.info("%d", number)
        logger.info("%d", number, extra={"channel": "app.other"})
    assert handler.flush()
    ids: dict[str, list[str]] = {}
    for record in arrived(sender):
        ids.setdefault(record["channel"], []).append(record["id"])
    assert {channel: [each.rpartition(":")[2] for each in got] for channel, got in ids.items()} == {
        "app.orders": list("01234"),
        "app.other": list("01234"),
    }
    assert len({each.rpartition(":")[0] for got in ids.values() for each in got}) == 2


def test_two_handlers_never_give_the_same_id() -> None:
    seen = set()
    for _ in range(2):
        sender = ScriptedSender()
        handler = CeleryHandler(sender=lambda sender=sender: sender)
        handler.handle(logging.makeLogRecord({"name": "app", "msg": "x"}))
        assert handler.flush()
        seen.add(arrived(sender)[0]["id"])
        handler.close()
    assert len(seen) == 2


def test_an_id_of_the_records_own_is_kept_and_takes_no_number(log: Log) -> None:
    logger, handler, sender = log
    logger.info("own", extra={"record_id": "sim-1-game:41"})
    logger.info("given")
    logger.info("invalid", extra={"record_id": "../etc/passwd"})
    assert handler.flush()
    own, given, invalid = (record["id"] for record in arrived(sender))
    assert own == "sim-1-game:41"
    assert (given.rpartition(":")[2], invalid.rpartition(":")[2]) == ("0", "1")


def test_a_payload_is_sent_as_it_was_when_it_was_logged(log: Log) -> None:
    logger, handler, sender = log
    payload = {"state": "before", "list": [1]}
    logger.info("x", extra={"payload": payload})
    payload["state"] = "after"
    payload["list"].append(2)  # type: ignore[attr-defined]
    assert handler.flush()
    assert arrived(sender)[0]["payload"] == {"state": "before", "list": [1]}


@pytest.mark.parametrize("library", ["amqp", "kombu.connection", "celery", "redis", "superhero.transport"])
def test_records_of_what_the_transport_is_built_on_are_not_sent(log: Log, library: str) -> None:
    _, handler, _ = log
    handler.handle(logging.makeLogRecord({"name": library, "msg": "x"}))
    handler.handle(logging.makeLogRecord({"name": library, "msg": "x", "channel": "app"}))
    assert handler.counters() == Counters()


def test_records_of_a_logger_that_only_sounds_like_one_are_sent(log: Log) -> None:
    _, handler, sender = log
    handler.handle(logging.makeLogRecord({"name": "celery_like", "msg": "x"}))
    handler.handle(logging.makeLogRecord({"name": "superhero.transporter", "msg": "x"}))
    assert handler.flush()
    assert {record["channel"] for record in arrived(sender)} == {"celery_like", "superhero.transporter"}


def test_what_does_not_fit_is_dropped_counted_and_leaves_a_gap() -> None:
    sender = ScriptedSender("mute", "ok")
    handler = CeleryHandler(sender=lambda: sender, max_records=2, confirm_timeout_s=0.3)
    for number in range(5):
        handler.handle(logging.makeLogRecord({"name": "app", "msg": f"{number}"}))
    assert (handler.counters().emitted, handler.counters().dropped) == (5, 3)
    assert handler.flush(5)
    handler.handle(logging.makeLogRecord({"name": "app", "msg": "later"}))
    assert handler.flush(5)
    numbers = {int(record["id"].rpartition(":")[2]) for record in arrived(sender)}
    assert numbers == {0, 1, 5}
    handler.close()


def test_a_payload_that_is_too_large_is_counted_and_told_once(
    caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    sender = ScriptedSender()
    handler = CeleryHandler(sender=lambda: sender, max_record_bytes=1000)
    large = {"name": "app", "msg": "x", "payload": {"text": "x" * 2000}}
    handler.handle(logging.makeLogRecord(large))
    wait_until(lambda: "went with a stand-in for their payload so far: 1;" in caplog.text)
    handler.handle(logging.makeLogRecord(large))
    assert handler.flush(5)
    handler.close()
    assert (len(arrived(sender)), handler.counters().cut) == (2, 2)
    assert caplog.text.count("stand-in") == 1


def test_the_counters_add_up_and_are_ready_for_json(log: Log) -> None:
    logger, handler, _ = log
    for _ in range(10):
        logger.info("x")
    assert handler.flush()
    counters = handler.counters()
    assert counters.emitted == counters.confirmed == counters.published == 10
    assert (counters.waiting, counters.waiting_bytes, counters.oldest_age_s) == (0, 0, 0.0)
    assert json.loads(json.dumps(asdict(counters)))["connected"] is True


def test_records_that_no_logger_made_are_sent_as_if_they_were_logged(log: Log) -> None:
    logger, handler, sender = log
    logger.info("logged")
    handler.put_many([("app.orders", encode_fields({"channel": "app.orders", "n": n}), None) for n in (1, 2)])
    handler.put_many([("app.orders", encode_fields({"channel": "app.orders", "n": 3}), "own:7")])
    assert handler.flush()
    ids = [record["id"].rpartition(":") for record in arrived(sender)]
    assert [number for _, _, number in ids] == ["0", "1", "2", "7"]
    assert (ids[0][0] == ids[2][0], ids[3][0]) == (True, "own")
    assert handler.counters().emitted == 4


def test_a_signal_handler_may_log_while_its_thread_logs(log: Log) -> None:
    logger, handler, sender = log
    before = signal.signal(signal.SIGALRM, lambda *_: logger.info("signal"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for _ in range(3000):
            logger.info("main")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handler.flush()
    records = arrived(sender)
    numbers = sorted(int(record["id"].rpartition(":")[2]) for record in records)
    assert numbers == list(range(len(records)))
    assert {record["message"] for record in records} == {"main", "signal"}


def test_a_finalizer_may_log_whatever_its_thread_is_in(log: Log) -> None:
    logger, handler, sender = log

    class Loop:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            logger.info("finalized")

    threshold = gc.get_threshold()
    gc.set_threshold(5, 2, 2)
    try:
        for _ in range(1000):
            Loop()
            logger.info("main")
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert handler.flush()
    logger.info("the last one")  # what a finalizer logged in the publisher's thread is put by then
    assert handler.flush()
    messages = [record["message"] for record in arrived(sender)]
    assert (messages.count("main"), messages.count("finalized")) == (1000, 1000)


def test_a_value_may_log_while_it_is_turned_into_text(log: Log) -> None:
    logger, handler, sender = log

    class Chatty:
        def __str__(self) -> str:
            logger.info("inner")
            return "chatty"

    logger.info("outer", extra={"payload": {"value": Chatty()}})
    assert handler.flush()
    assert [record["message"] for record in arrived(sender)] == ["inner", "outer"]


def test_a_record_logged_after_the_end_is_counted_as_dropped(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, handler, _ = log
    logger.info("before")
    handler.close()
    logger.info("after")
    logger.info("after")
    assert (handler.counters().emitted, handler.counters().dropped) == (3, 2)
    assert capsys.readouterr().err.count("--- Logging error ---") == 1


def test_closing_tells_how_many_records_are_lost(caplog: pytest.LogCaptureFixture) -> None:
    handler = CeleryHandler(sender=lambda: ScriptedSender(opening=["transient"] * 99), flush_timeout_s=0.0)
    handler.handle(logging.makeLogRecord({"name": "app", "msg": "x"}))
    handler.close()
    assert "1 records were not confirmed when their handler closed" in caplog.text


def test_the_handlers_repr_shows_no_password() -> None:
    handler = CeleryHandler(broker_url="amqp://user:secret@127.0.0.1//")
    assert "secret" not in repr(handler)
    handler.close()


def test_a_program_can_collect_what_would_be_sent(
    attach: Callable[[logging.Handler], logging.Logger],
) -> None:
    collected = CollectingHandler()
    logger = attach(collected)
    logger.warning("x", extra={"event": "e", "payload": {"a": (1, 2)}})
    (envelope,) = collected.envelopes
    assert (envelope.id, envelope.event, envelope.payload) == ("test:0", "e", {"a": [1, 2]})
