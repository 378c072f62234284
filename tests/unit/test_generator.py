"""The generator's parts: rates, ratings, who is online, and faults on a dial."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from superhero.generator.faults import LATE_S, REFUSED, SKEWED_S, Delivery, Shares, deliver
from superhero.generator.population import Habits
from superhero.generator.rates import SHAPES, Rate
from superhero.headless import play
from superhero.ops.outlets import envelope
from superhero.ops.pace import Pace
from superhero.roster import shipped
from tasks.registry import event_of

RECORDS = list(play(7, 60, shipped()))
KINDS = ("late", "out_of_order", "duplicated", "malformed", "schema_changed", "skewed_clock")
START = datetime(2026, 1, 1, tzinfo=UTC)


def sent(**shares: float) -> list[Delivery]:
    """Return what is sent of a run with these faults."""
    return list(deliver(RECORDS, Shares(**shares), seed=7))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rate_is_kept_over_a_day_whatever_its_shape(shape: str) -> None:
    moment, count, rate = START, 0, Rate(0.5, shape)
    while moment < START + timedelta(days=1):
        moment += rate.gap(moment)
        count += 1
    assert count == pytest.approx(0.5 * 86400, rel=0.02)


def test_the_busiest_hour_is_in_the_afternoon() -> None:
    rate = Rate(100, "daily")
    gaps = {hour: rate.gap(START + timedelta(hours=hour)) for hour in range(24)}
    assert min(gaps, key=lambda hour: gaps[hour]) == 14
    assert max(gaps, key=lambda hour: gaps[hour]) == 2
    assert gaps[2] / gaps[14] == pytest.approx(9, rel=0.01)


def test_a_burst_comes_every_five_minutes() -> None:
    rate = Rate(10, "bursts")
    assert rate.gap(START + timedelta(minutes=5, seconds=29)) == rate.gap(START)
    assert rate.gap(START) * 10 < rate.gap(START + timedelta(seconds=30))


@pytest.mark.parametrize(("per_second", "shape"), [(0, "constant"), (1e9, "constant"), (1, "square")])
def test_a_rate_that_cannot_be_is_refused(per_second: float, shape: str) -> None:
    with pytest.raises(ValueError, match=r"a rate is|no shape"):
        Rate(per_second, shape)


@pytest.mark.parametrize("habits", [{"skill": "none"}, {"heroes": "all"}, {"session_games": -1}])
def test_habits_that_nobody_has_are_refused(habits: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"is called|has no"):
        Habits(**habits)  # type: ignore[arg-type]  # what is wrong is the point


def test_without_faults_records_are_sent_in_their_order_and_time() -> None:
    assert sent() == [Delivery(record, record.time) for record in RECORDS]


def test_the_same_seed_has_the_same_faults() -> None:
    dials = dict.fromkeys(KINDS, 0.1)
    assert sent(**dials) == sent(**dials)
    assert list(deliver(RECORDS, Shares(**dials), seed=8)) != sent(**dials)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 1.0])
def test_every_record_is_sent_and_the_share_of_them_meets_the_fault(kind: str, share: float) -> None:
    deliveries = sent(**{kind: share})
    counted = Counter(each.record.record_id for each in deliveries if not each.again)
    assert counted == Counter(record.record_id for record in RECORDS)
    labelled = sum(bool(each.labels) for each in deliveries if not each.again)
    assert labelled == pytest.approx(share * len(RECORDS), rel=0.35)


def test_what_is_sent_comes_by_the_run_s_clock() -> None:
    deliveries = sent(late=0.1, out_of_order=0.1, duplicated=0.1, skewed_clock=0.1)
    assert all(before.due <= after.due for before, after in pairwise(deliveries))


def test_a_late_record_is_sent_after_its_time_and_says_its_time() -> None:
    late = [each for each in sent(late=0.1) if each.labels]
    assert all(timedelta(0) <= each.due - each.record.time <= timedelta(seconds=LATE_S) for each in late)
    assert all(each.record in RECORDS for each in late)


def test_a_record_out_of_order_is_overtaken_by_a_few() -> None:
    places = {record.record_id: place for place, record in enumerate(RECORDS)}
    order = [places[each.record.record_id] for each in sent(out_of_order=0.2)]
    assert order != sorted(order)
    assert max(abs(place - there) for place, there in enumerate(order)) <= 20


def test_a_duplicate_is_the_same_record() -> None:
    deliveries = sent(duplicated=0.2)
    once = {each.record.record_id: each.record for each in deliveries if not each.again}
    again = [each for each in deliveries if each.again]
    assert again
    assert all(once[each.record.record_id] == each.record for each in again)


def test_a_skewed_clock_is_wrong_by_an_hour_at_most() -> None:
    times = {record.record_id: record.time for record in RECORDS}
    skews = [each.record.time - times[each.record.record_id] for each in sent(skewed_clock=1)]
    assert max(map(abs, skews)) <= timedelta(seconds=SKEWED_S)
    assert min(skews) < timedelta(0) < max(skews)


def test_what_no_pipeline_takes_is_labelled_so_and_nothing_else_is() -> None:
    for each in sent(malformed=0.3, schema_changed=0.3, skewed_clock=0.3):
        refused = bool(REFUSED.intersection(each.labels))
        if refused:
            with pytest.raises(ValueError, match="the payload is no"):
                event_of(envelope(each.record))
        else:
            assert event_of(envelope(each.record)) == each.record.event


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="the share of late is 0 to 1"):
        Shares(late=share)


def test_a_run_is_held_to_its_clock_and_catches_up_when_it_is_behind() -> None:
    now, slept = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(60, clock=lambda: now[0], sleep=sleep)
    for minute in (0, 1, 2):
        pace.wait(START + timedelta(minutes=minute))
    assert slept == pytest.approx([1, 1])
    now[0] += 10
    pace.wait(START + timedelta(minutes=5))
    assert len(slept) == 2
