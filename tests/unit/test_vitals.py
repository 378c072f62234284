"""The arithmetic behind the picture of a running pipeline: spans, lags, and what counts as lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from superhero.ops.lag import percentile_ms
from superhero.ops.losses import OVERDUE_S, SURE_AFTER_S, Losses
from superhero.ops.vitals import _is_idle
from superhero.pulse.account import LAG_MS, LARGEST_NUMBER, lag_field
from superhero.transport.envelope import Envelope
from tasks import pulse, resources
from tasks.batches import Batch, Passage, Record
from tasks.pulse import spans
from tasks.registry import Registry

Noted = Callable[..., Mapping[str, Any]]


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    """Give what notes a batch of these ids, of which every record made a row, and returns the note."""
    told: list[Mapping[str, Any]] = []
    rows = {"RECORDS": 0}
    notes = SimpleNamespace(add=lambda sink, worker, **note: told.append(note))
    monkeypatch.setattr(
        pulse, "current_app", SimpleNamespace(conf=SimpleNamespace(superhero_secret_sinks=""))
    )
    monkeypatch.setattr(pulse, "_rows_noted", 0)
    monkeypatch.setattr(resources, "notes", lambda: notes)
    monkeypatch.setattr(resources, "sink", lambda: SimpleNamespace(rows_added=rows))

    def note(*ids: str, logged: datetime | None = None) -> Mapping[str, Any]:
        time = (logged or datetime.now(UTC)).isoformat()
        rows["RECORDS"] += len(ids)
        envelopes = [Envelope(each, "c", time, "INFO", "c", None, "", None) for each in ids]
        passage = Passage(Registry())
        passage.note(Batch([Record(None, envelope, []) for envelope in envelopes], []))
        pulse.note("w", passage)
        return told[-1]

    return note


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], []),
        (["p:0"], [("p", 0, 1)]),
        (["p:0", "p:1", "p:2", "q:3", "q:4"], [("p", 0, 3), ("q", 3, 5)]),
        (["p:5", "p:4", "p:4"], [("p", 5, 6), ("p", 4, 5), ("p", 4, 5)]),
        (["p:1", f"p:{LARGEST_NUMBER}", f"p:{LARGEST_NUMBER + 1}", "p:2"], [("p", 1, 2), ("p", 2, 3)]),
    ],
)
def test_numbers_that_follow_each_other_are_one_span(
    ids: list[str], expected: list[tuple[str, int, int]]
) -> None:
    assert list(spans(ids)) == expected


def test_records_whose_numbers_are_too_large_to_be_noted_do_not_pass_for_doubled(noted: Noted) -> None:
    note = noted("p:1", f"p:{LARGEST_NUMBER}", "p:2")
    assert note["written"] == [("p", 1, 2), ("p", 2, 3)]
    assert note["counts"]["rows"] == 2


@pytest.mark.parametrize(("days", "tells"), [(-400.0, False), (-0.5, True), (0.1, True), (400.0, False)])
def test_a_record_that_a_simulated_clock_dated_tells_no_lag(noted: Noted, days: float, tells: bool) -> None:
    counts = noted("p:1", logged=datetime.now(UTC) + timedelta(days=days))["counts"]
    assert any(name.startswith("lag") for name in counts) == tells


@pytest.mark.parametrize(
    ("lag_ms", "field"), [(0.0, "lag:5"), (5.0, "lag:5"), (5.1, "lag:10"), (1e9, "lag:more")]
)
def test_a_lag_is_counted_in_the_class_that_holds_it(lag_ms: float, field: str) -> None:
    assert lag_field(lag_ms) == field


def test_percentiles_lie_within_the_class_that_holds_them() -> None:
    assert percentile_ms({}, 0.5) is None
    assert percentile_ms({"5": 0}, 0.5) is None
    assert percentile_ms({"10": 100}, 0.5) == 7.5
    assert percentile_ms({"5": 98, "1000": 2}, 0.5) == pytest.approx(2.6, abs=0.1)
    assert 500 < (percentile_ms({"5": 98, "1000": 2}, 0.99) or 0) <= 1000
    assert percentile_ms({"more": 1}, 0.99) == LAG_MS[-1]


def test_what_is_missing_while_anything_moves_is_on_its_way() -> None:
    losses = Losses()
    for second in range(100):
        assert losses.judge(float(second), (second, 0), 7, [("p", 3, 10)], idle=False) == 0


def test_what_is_missing_when_nothing_moves_any_more_is_lost() -> None:
    losses = Losses()
    assert losses.judge(0.0, (10, 3), 7, [], idle=True) == 0
    assert losses.judge(SURE_AFTER_S - 0.1, (10, 3), 7, [], idle=True) == 0
    assert losses.judge(SURE_AFTER_S, (10, 3), 7, [], idle=True) == 7


def test_a_move_or_a_message_begins_the_wait_anew() -> None:
    losses = Losses()
    losses.judge(0.0, (10, 3), 7, [], idle=True)
    assert losses.judge(SURE_AFTER_S, (11, 3), 8, [], idle=True) == 0
    assert losses.judge(SURE_AFTER_S + 1, (11, 3), 8, [], idle=False) == 0
    assert losses.judge(SURE_AFTER_S * 2, (11, 3), 8, [], idle=True) == 0


def test_what_was_lost_stays_so_until_it_comes() -> None:
    losses = Losses()
    losses.judge(0.0, (10, 3), 7, [], idle=True)
    assert losses.judge(SURE_AFTER_S, (10, 3), 7, [], idle=True) == 7
    assert losses.judge(SURE_AFTER_S + 1, (20, 3), 17, [], idle=False) == 7
    assert losses.judge(SURE_AFTER_S + 2, (20, 18), 2, [], idle=False) == 2
    assert losses.judge(SURE_AFTER_S + 3, (20, 20), 0, [], idle=False) == 0


def test_a_gap_that_stays_is_lost_even_if_there_is_never_a_moment_of_rest() -> None:
    losses = Losses()
    gaps = [("p", 3, 5), ("q", 0, 1)]
    assert losses.judge(0.0, (100, 50), 50, gaps, idle=False) == 0
    assert losses.judge(OVERDUE_S - 1, (200, 150), 50, gaps, idle=False) == 0
    assert losses.judge(OVERDUE_S, (300, 250), 50, [*gaps, ("r", 0, 9)], idle=False) == 3


@pytest.mark.parametrize(
    ("name", "standing", "idle"),
    [
        ("superhero.game", (0, 0), True),
        ("superhero.game", (7, 0), False),
        ("superhero.game", (0, 1), False),
        ("superhero.game", (7, 1), False),
        ("shop.orders", (0, 1), True),
        ("shop.orders", (7, 1), False),
        ("shop.orders", (0, 2), False),
        ("audit", (0, 1), True),
        ("audit", (7, 1), True),
        ("audit", (7, 0), False),
    ],
)
def test_what_another_program_consumes_is_not_on_its_way_to_us(
    name: str, standing: tuple[int, int], idle: bool
) -> None:
    worker = {"channels": ["shop.orders"], "in_hand": 0}
    account: Any = SimpleNamespace(of_kind=lambda kind: [worker], transports=list, outboxes=0)
    assert _is_idle(account, {name: standing}, {"superhero.game"}) == idle
