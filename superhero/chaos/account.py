"""Hold what an application was promised against what stands in the sink, while it runs and afterwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from superhero.chaos.calls import call_in, channel_of, spoken
from superhero.chaos.tail import Tail

_SHOWN = 20

Files = Callable[[], Iterable[Path]]


@dataclass(frozen=True, slots=True)
class Count:
    """What became of some calls.

    records      calls that returned
    lost         of those, how many are neither in the sink nor in quarantine
    lost_calls   the first of them, by name
    duplicated   rows of theirs beyond the first
    quarantined  of those, how many are in quarantine
    """

    records: int
    lost: int
    duplicated: int
    quarantined: int
    lost_calls: tuple[str, ...] = ()


class Account:
    """The calls of one lane, in the order in which they returned. Used by one thread at a time.

    `journals` gives what the producers print, a file each, `row_files` the files that hold a row per record,
    JSON Lines.
    """

    def __init__(self, journals: Files, row_files: Files) -> None:
        self._calls = Tail()
        self._journals = journals
        self._rows = Tail()
        self._row_files = row_files
        self._order: dict[str, int] = {}
        self._written: Counter[str] = Counter()
        self._missing: set[str] = set()
        self._early: set[str] = set()
        self._newest: dict[str, int] = {}
        self.refused = 0
        """Calls that raised: the application was told."""
        self.unreadable = 0
        """Lines of the sink that are not JSON."""

    def look(self) -> None:
        """Read what came to the journal and to the sink since the last look."""
        # Rows first: what they come from is in the journal by then, but for calls that are about to return.
        for path in self._row_files():
            for line in self._rows.lines(path):
                self._count_row(line)
        for path in self._journals():
            for line in self._calls.lines(path):
                self._count_call(line)
        for call in self._early & self._order.keys():
            self._early.discard(call)
            self._note_written(call)

    @property
    def returned(self) -> int:
        """How many calls returned so far."""
        return len(self._order)

    @property
    def written(self) -> int:
        """How many of them are in the sink."""
        return len(self._order) - len(self._missing)

    @property
    def unexpected(self) -> int:
        """Calls in the sink not known to have returned: their process died while they were under way."""
        return len(self._early)

    def missing(self, before: int) -> int:
        """Return how many of the first `before` calls are not in the sink yet."""
        return sum(1 for call in self._missing if self._order[call] < before)

    def flows(self, since: int, channels: Iterable[str]) -> bool:
        """Tell whether on each channel a call later than the first `since` is in the sink."""
        return all(self._newest.get(channel, -1) >= since for channel in channels)

    def calls_of(self, process: str) -> set[str]:
        """Return the calls that returned in the producer process of that number."""
        return {call for call in self._order if call.partition(" ")[2].startswith(f"{process}.")}

    def missing_calls(self) -> set[str]:
        """Return the calls that returned and are not in the sink."""
        return set(self._missing)

    def count(self, begin: int, end: int, quarantined: set[str]) -> Count:
        """Return what became of the calls from number `begin` to before number `end`."""
        calls = [call for call, order in self._order.items() if begin <= order < end]
        lost = [call for call in calls if call in self._missing and call not in quarantined]
        return Count(
            records=len(calls),
            lost=len(lost),
            lost_calls=tuple(lost[:_SHOWN]),
            duplicated=sum(max(self._written[call] - 1, 0) for call in calls),
            quarantined=sum(1 for call in calls if call in quarantined),
        )

    def _count_row(self, line: str) -> None:
        try:
            call = call_in(json.loads(line))
        except ValueError:
            self.unreadable += 1  # lines of several writers, one within the other
            return
        if call is None:
            return
        self._written[call] += 1
        if call in self._order:
            self._note_written(call)
        else:
            self._early.add(call)

    def _count_call(self, line: str) -> None:
        said = spoken(line)
        if said is None:
            return
        if not said.returned:
            self.refused += 1
        elif said.call not in self._order:
            self._order[said.call] = len(self._order)
            self._missing.add(said.call)

    def _note_written(self, call: str) -> None:
        self._missing.discard(call)
        channel = channel_of(call)
        self._newest[channel] = max(self._newest.get(channel, -1), self._order[call])
