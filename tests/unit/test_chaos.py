"""What chaos counts by, and how faults are drawn."""

from __future__ import annotations

import json
import random
from itertools import islice

import pytest

from superhero.chaos.account import Count
from superhero.chaos.calls import (
    Spoken,
    call_in,
    call_name,
    calls_in_task,
    channel_of,
    message_text,
    spoken,
)
from superhero.chaos.faults import FAULTS
from superhero.chaos.report import lines
from superhero.chaos.schedule import draw
from superhero.chaos.verdict import Row
from superhero.transport.envelope import Envelope, encode, task_body


def _row(name: str = "broker-kill", **fields: object) -> Row:
    usual: dict[str, object] = {
        "faults": (name,),
        "records": 10,
        "kills": 1,
        "lost": 0,
        "lost_calls": (),
        "duplicated": 0,
        "expected": 0,
        "unexpected": 0,
        "recovered_s": 1.0,
        "not_injected": "",
        "evidence": ("the broker was killed",),
        "complaints": (),
        "plain": Count(records=10, lost=1, duplicated=0, quarantined=0),
        "plain_recovered_s": 2.0,
    }
    return Row(**{**usual, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("returned", [True, False])
def test_what_a_producer_says_of_a_call_is_read_back(returned: bool) -> None:
    said = Spoken(call_name("chaos.orders", 3, 17), returned)
    assert spoken(said.line()) == said


@pytest.mark.parametrize("line", ["", "end {}", "returned", "returned chaos.orders 3", "x returned a 1.2"])
def test_other_lines_of_a_producer_say_nothing_of_calls(line: str) -> None:
    assert spoken(line) is None


def test_a_row_and_a_batch_are_known_for_the_calls_they_came_from() -> None:
    fields = {"channel": "chaos.orders", "message": message_text(3, 17, "basket")}
    envelope = Envelope("a:0", "chaos.orders", "t", "INFO", "chaos.orders", None, fields["message"], None)
    call = call_name("chaos.orders", 3, 17)
    assert call_in(fields) == call
    assert list(calls_in_task(task_body("chaos.orders", [encode(envelope)]))) == [call]
    assert channel_of(call) == "chaos.orders"


@pytest.mark.parametrize(
    "fields", [None, [], {}, {"channel": "a", "message": "hello"}, {"message": "call 1.2 x"}]
)
def test_what_no_producer_of_ours_logged_is_no_call(fields: object) -> None:
    assert call_in(fields) is None


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b"[[1]]", b"[" * 100_000, json.dumps([["a", [1]]]).encode()]
)
def test_no_call_is_found_in_the_body_of_something_else(body: bytes) -> None:
    assert list(calls_in_task(body)) == []


def test_every_fault_is_drawn_before_one_comes_again() -> None:
    faults = list(FAULTS.values())
    drawn = list(islice(draw(random.Random(7), faults), len(faults)))
    assert {chosen[0].name for chosen in drawn} == set(FAULTS)


def test_faults_that_are_drawn_together_touch_different_parts() -> None:
    drawn = islice(draw(random.Random(7), list(FAULTS.values())), 500)
    together = [chosen for chosen in drawn if len(chosen) > 1]
    assert together
    assert not any(first.parts & second.parts for first, second in together)


def test_the_same_seed_draws_the_same_faults() -> None:
    def names(seed: int) -> list[list[str]]:
        drawn = islice(draw(random.Random(seed), list(FAULTS.values())), 100)
        return [[fault.name for fault in chosen] for chosen in drawn]

    assert names(7) == names(7)
    assert names(7) != names(8)


@pytest.mark.parametrize(
    "fault",
    [
        {"lost": 1},
        {"duplicated": 1},
        {"unexpected": 1},
        {"recovered_s": None},
        {"not_injected": "rabbitmqctl failed"},
        {"complaints": ("a game has not ended",)},
    ],
)
def test_a_window_is_clean_only_when_nothing_is_amiss(fault: dict[str, object]) -> None:
    assert _row().clean
    assert not _row(**fault).clean  # type: ignore[arg-type]  # no field here is the name


def test_windows_of_one_fault_are_added_up_and_the_longest_recovery_stays() -> None:
    (line,) = lines((_row(recovered_s=1.0), _row(recovered_s=3.0, lost=2)))
    assert (line.times, line.records, line.kills, line.lost, line.recovered_s) == (2, 20, 2, 2, 3.0)
    assert line.plain == Count(records=20, lost=2, duplicated=0, quarantined=0)


def test_a_recovery_that_never_came_is_not_hidden_by_one_that_did() -> None:
    (line,) = lines((_row(), _row(recovered_s=None)))
    assert line.recovered_s is None
