"""What processes use: processor time and memory, read from /proc; Linux alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from superhero.ops.watching import Watching

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def cpu_s(pids: Iterable[int]) -> float:
    """Return how many seconds of processor time these processes took so far."""
    return sum(_stat(pid)[0] for pid in pids)


def cpu_of_all_s(pid: int) -> float:
    """Return the processor time of a process and all that descend from it, those included that have ended."""
    return sum(sum(int(each) for each in _fields(one)[11:15]) for one in family(pid)) / _TICKS


def cpu_of_machine_s() -> float:
    """Return how many seconds this machine's cores have worked so far, for whomever."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICKS


def memory_bytes(pid: int) -> int:
    """Return how much memory a process has in use; 0 when it is gone."""
    return _stat(pid)[1]


def _stat(pid: int) -> tuple[float, int]:
    fields = _fields(pid)
    return (
        ((int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE_BYTES) if fields else (0.0, 0)
    )


def _fields(pid: int) -> list[str]:
    """Return what the kernel says of a process, from the 3rd field on; nothing when it is gone.

    Of the whole line utime and stime are fields 14 and 15, those of children that ended 16 and 17, rss is 24.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


class Meter:
    """Adds up what processes and their descendants use, as often as it is asked to look.

    A process that ends keeps what it had used when it was last looked at. Both figures are None where there
    is no /proc.
    """

    def __init__(self) -> None:
        self._at_begin: dict[int, float] = {}
        self._latest: dict[int, float] = {}
        self._peak_bytes = 0

    def begin(self, pids: Iterable[int]) -> None:
        """Count from now on; what these processes used before does not count."""
        self._at_begin = {each: cpu_s([each]) for pid in pids for each in family(pid)}

    def look(self, pids: Iterable[int]) -> None:
        """Read how much they use now."""
        now = [each for pid in pids for each in family(pid)]
        for each in now:
            self._latest[each] = max(cpu_s([each]), self._latest.get(each, 0.0))
        self._peak_bytes = max(self._peak_bytes, sum(memory_bytes(each) for each in now))

    @property
    def cpu_s(self) -> float | None:
        """Seconds of processor time since `begin`."""
        used = sum(seconds - self._at_begin.get(pid, 0.0) for pid, seconds in self._latest.items())
        return round(used, 2) if self._latest else None

    @property
    def peak_bytes(self) -> int | None:
        """The most memory they had in use together; what processes share counts for each."""
        return self._peak_bytes or None


class Sampler(Watching):
    """Calls something every `every_s` seconds in a thread of its own, and keeps (seconds, what it said)."""

    def __init__(self, look: Callable[[], float], every_s: float) -> None:
        super().__init__("sampler")
        self.samples: list[tuple[float, float]] = []
        self._look = look
        self._every_s = every_s

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            self.samples.append((time.monotonic() - self._began, self._look()))
