"""A pipeline or step that fails is named with its line, shown with its traceback, and refused when unfit."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from sinks.base import Append, Write
from superhero.transport.envelope import Envelope
from tasks.blame import EVERY_S, BlamedError, Faults
from tasks.registry import Registry

ENVELOPE = Envelope("p:1", "c", "2026-01-31T12:00:00.000000Z", "INFO", "c", None, "m", None)


def returns_a_number(envelope: Envelope, event: object) -> Any:
    return 7


def returns_nothing(envelope: Envelope, event: object) -> Any:
    return None


def yields_and_raises(envelope: Envelope, event: object) -> Iterable[Write]:
    yield Append("RECORDS", [{"record_id": envelope.id}])
    raise LookupError("nobody there")  # the line that is named


def takes_one(envelope: Envelope) -> Iterable[Write]:
    return []


def takes_three(envelope: Envelope, event: object, third: object) -> Iterable[Write]:
    return []


def takes_names_only(*, envelope: Envelope, event: object) -> Iterable[Write]:
    return []


async def asynchronous(envelope: Envelope, event: object) -> Iterable[Write]:
    return []


async def asynchronous_generator(envelope: Envelope, event: object) -> AsyncIterator[Write]:
    yield Append("RECORDS", [])


def blamed(function: Callable[..., Any]) -> BlamedError:
    """Return what a registry says about a pipeline that fails."""
    registry = Registry()
    registry.pipeline()(function)
    with pytest.raises(BlamedError) as caught:
        registry.writes(ENVELOPE)
    return caught.value


@pytest.mark.parametrize("function", [returns_a_number, returns_nothing, yields_and_raises])
def test_what_a_pipeline_raises_or_returns_amiss_names_it(function: Callable[..., Any]) -> None:
    name = function.__name__
    assert re.match(rf"{name} \(tests/unit/test_blame\.py:\d+\): \w+Error: ", str(blamed(function)))


def test_the_line_named_is_the_one_that_raised() -> None:
    found = re.search(r"test_blame\.py:(\d+)", str(blamed(yields_and_raises)))
    assert found is not None
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert "the line that is named" in lines[int(found[1]) - 1]


@pytest.mark.parametrize(
    "function", [takes_one, takes_three, takes_names_only, asynchronous, asynchronous_generator]
)
def test_a_function_that_cannot_be_called_is_refused_as_it_is_registered(
    function: Callable[..., Any],
) -> None:
    registry = Registry()
    for register in (registry.pipeline(channel="c"), registry.after_write(channel="c")):
        with pytest.raises(TypeError, match=rf"{function.__name__} \(tests/unit/test_blame\.py:\d+\) "):
            register(function)
    assert registry.channels() == set()


def test_a_step_that_fails_is_named() -> None:
    registry = Registry()
    registry.after_write()(lambda envelope, event: {}["x"])
    (step,) = registry.steps(ENVELOPE)
    with pytest.raises(BlamedError, match=r"<lambda> \(tests/unit/test_blame\.py:\d+\): KeyError: 'x'"):
        step()


def test_a_traceback_is_shown_once_in_a_while_for_each_pipeline_and_type_of_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    faults = Faults(lambda: now)
    with caplog.at_level(logging.ERROR, "tasks.blame"):
        for _ in range(100):
            faults.show(blamed(yields_and_raises))
        faults.show(blamed(returns_a_number))
        assert len(caplog.records) == 2
        now += EVERY_S
        faults.show(blamed(yields_and_raises))
    assert len(caplog.records) == 3
    assert "yields_and_raises (tests/unit/test_blame.py:" in caplog.messages[0]
    assert caplog.text.count("Traceback (most recent call last)") == 3
