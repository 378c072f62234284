"""The end of a run: let everything arrive, read the quarantine, and say of each window what was lost.

Counted twice over: by the calls that are known to have returned, and by record ids as in `superhero verify`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from superhero.chaos.account import Count
from superhero.chaos.calls import calls_in_task
from superhero.chaos.faults.fault import Scene
from superhero.chaos.lanes import Lane
from superhero.chaos.rig import Rig
from superhero.chaos.schedule import Say, Window
from superhero.ops import verify
from superhero.ops.datasets import files, rows
from superhero.ops.expected import Expected, Promise
from superhero.ops.quarantine import DeadLetter, Selection, look

_STALLED_AFTER_S = 25.0
_PLAIN_STALLED_AFTER_S = 8.0
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a window's records.

    records      ours: logging calls that returned, records of games, planted messages
    lost         of those, how many are neither in the sink nor in quarantine
    lost_calls   some of them
    duplicated   rows of theirs beyond the first
    expected     in quarantine, where they belong
    unexpected   in quarantine, where they do not belong
    recovered_s  seconds, None for never
    not_injected why the fault could not be brought about, "" when it was
    evidence     how it is known to have happened
    complaints   what should have come right and did not
    plain        the same records through plain Celery; None when that was left out
    """

    faults: tuple[str, ...]
    records: int
    kills: int
    lost: int
    lost_calls: tuple[str, ...]
    duplicated: int
    expected: int
    unexpected: int
    recovered_s: float | None
    not_injected: str
    evidence: tuple[str, ...]
    complaints: tuple[str, ...]
    plain: Count | None
    plain_recovered_s: float | None

    @property
    def clean(self) -> bool:
        """Whether the fault happened, was got over, and nothing is lost, doubled or wrongly put aside."""
        wrong = self.lost or self.duplicated or self.unexpected or self.not_injected or self.complaints
        return self.recovered_s is not None and not wrong


@dataclass(frozen=True, slots=True)
class Verdict:
    """All windows, and what belongs to none.

    in_flight      ours: rows of calls that had not returned when their process was killed
    refused_plain  calls that plain Celery raised from, so that the application knows
    by_record_id   what `superhero verify` says of our sinks
    not_in_sql     records that are in the JSON Lines and not in the database; None when there is none
    """

    rows: tuple[Row, ...]
    in_flight: int
    refused_plain: int
    by_record_id: tuple[verify.Verdict, ...]
    not_in_sql: int | None = None

    @property
    def clean(self) -> bool:
        """Whether every window is, and the record ids say so, too."""
        verified = all(each.clean for each in self.by_record_id)
        return bool(self.rows) and verified and not self.not_in_sql and all(row.clean for row in self.rows)


def judge(rig: Rig, windows: Sequence[Window], say: Say) -> Verdict:
    """End producers and workers once nothing more comes, and count. The rig is of no use afterwards."""
    say("the last records arrive")
    for lane in rig.lanes:
        lane.stop_producers()
    scenes = [scene for window in windows for scene in window.scenes]
    quarantine = _Quarantine(rig.ours.broker_url)
    _drain(rig, rig.ours, lambda missing: quarantine.takes(missing, scenes), _STALLED_AFTER_S)
    for lane in rig.lanes[1:]:
        _drain(rig, lane, lambda missing: not missing, _PLAIN_STALLED_AFTER_S)
    say("counting")
    for lane in rig.lanes:
        lane.workers.stop()
    rig.pause(0)
    letters = list(look(rig.ours.broker_url, Selection()))
    verified = verify.verify(rig.ours.data_dir, _promised(windows, letters))
    court = _Court(rig, letters, {line.producer: line for line in verified.producers})
    judged = tuple(court.row(window, ends) for window, ends in _with_ends(rig.lanes, windows))
    refused = sum(lane.account.refused for lane in rig.lanes[1:])
    return Verdict(judged, rig.ours.account.unexpected, refused, (verified,), _not_in_sql(rig))


def _not_in_sql(rig: Rig) -> int | None:
    if rig.ours.database is None:
        return None
    ids = {row["record_id"] for path in files(rig.ours.data_dir, verify.RECORDS) for row in rows(path)}
    return len(ids - rig.ours.database.record_ids())


def _drain(rig: Rig, lane: Lane, elsewhere: Callable[[set[str]], bool], stalled_after_s: float) -> None:
    """Wait until what returned is written, or known to be elsewhere, or nothing moves any more."""
    account = lane.account
    written = -1
    while written != account.written:
        written = account.written
        if rig.watch(lambda: elsewhere(account.missing_calls()), stalled_after_s):
            return


class _Quarantine:
    """Tells whether all that must go into quarantine is there; looks there once a second at most."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self._looked_at = -_LOOK_EVERY_S
        self._there = False

    def takes(self, missing: set[str], scenes: Sequence[Scene]) -> bool:
        """Tell whether the calls that are missing in the sink, and all planted messages, are there."""
        belong = {call for scene in scenes for call in scene.may_be_quarantined}
        if missing <= belong and time.monotonic() - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            bodies = [letter.body for letter in look(self._broker_url, Selection())]
            calls = {call for body in bodies for call in calls_in_task(body)}
            planted = (text.encode() for scene in scenes for text in scene.planted)
            self._there = missing <= calls and all(any(text in body for body in bodies) for text in planted)
        return self._there


def _promised(windows: Sequence[Window], letters: Sequence[DeadLetter]) -> Expected:
    promises = {
        producer: Promise(count, count)
        for window in windows
        for scene in window.scenes
        for producer, count in scene.promised.items()
    }
    return Expected(promises, [record_id for letter in letters for record_id in letter.record_ids])


def _with_ends(lanes: Sequence[Lane], windows: Sequence[Window]) -> list[tuple[Window, dict[str, int]]]:
    ends = {lane.title: lane.account.returned for lane in lanes}
    # What was logged before the first fault is laid to it.
    windows[0].begins.update(dict.fromkeys(ends, 0))
    following = [later.begins for _, later in pairwise(windows)] + [ends]
    return list(zip(windows, following, strict=True))


class _Court:
    """What is known at the end of a run, by which each window is judged."""

    def __init__(self, rig: Rig, letters: Sequence[DeadLetter], lines: Mapping[str, verify.Line]) -> None:
        self._rig = rig
        self._lines = lines
        self._dead = [letter.body for letter in letters]
        self._quarantined = {call for body in self._dead for call in calls_in_task(body)}

    def row(self, window: Window, ends: dict[str, int]) -> Row:
        """Return what became of the records of a window that ends before the calls numbered `ends`."""
        ours, *others = self._rig.lanes
        count = ours.account.count(window.begins[ours.title], ends[ours.title], self._quarantined)
        scenes = window.scenes
        expected = {call for scene in scenes for call in scene.may_be_quarantined} & self._quarantined
        planted = [text for scene in scenes for text in scene.planted]
        found = [text for text in planted if any(text.encode() in body for body in self._dead)]
        games = verify.together(
            (self._lines[producer] for scene in scenes for producer in scene.promised), "games"
        )
        return Row(
            faults=tuple(fault.name for fault in window.faults),
            records=count.records + len(planted) + games.attempted,
            kills=window.kills,
            lost=count.lost + len(planted) - len(found) + games.lost,
            lost_calls=(*count.lost_calls, *games.examples, *(set(planted) - set(found))),
            duplicated=count.duplicated + games.duplicated,
            expected=len(expected) + len(found),
            unexpected=count.quarantined - len(expected) + games.quarantined,
            recovered_s=window.recovered_s.get(ours.title),
            not_injected=window.not_injected,
            evidence=tuple(what for scene in scenes for what in scene.evidence),
            complaints=tuple(what for scene in scenes for what in scene.complaints),
            plain=_plain_count(others[0], window, ends) if others else None,
            plain_recovered_s=window.recovered_s.get(others[0].title) if others else None,
        )


def _plain_count(lane: Lane, window: Window, ends: dict[str, int]) -> Count:
    """Count plain Celery's: it has no quarantine, so what was planted and dropped is lost."""
    count = lane.account.count(window.begins[lane.title], ends[lane.title], set())
    planted = sum(len(scene.planted_plain) for scene in window.scenes)
    return Count(count.records + planted, count.lost + planted, count.duplicated, 0)
