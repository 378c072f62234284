"""Read what the pulses of all processes add up to (superhero/pulse), as one moment's account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from superhero import keys
from superhero.errors import StoreError
from superhero.ops.intervals import Intervals
from superhero.pulse.account import VERSION

Gap = tuple[str, int, int]
"""Producer, first number that is missing, number after the last one."""


@dataclass(frozen=True, slots=True)
class Account:
    """What went in and what came out, as far as pulses told. Records where nothing else is said.

    attempted    producer -> how many it logged: as it says, or as its largest number shows
    written      producer -> numbers that are in the sink
    aside        producer -> numbers that went to quarantine
    scattered    how many are written, or in quarantine, of producers too scattered to tell which
    totals       the figures of workers and servers, and of producers so old that only sums are known
    processes    what each living process said last
    outboxes     events in the outboxes of servers, living or dead
    games_open   games that have begun to fill, or are fought
    """

    attempted: Mapping[str, int]
    written: Mapping[str, Intervals]
    aside: Mapping[str, Intervals]
    scattered: Mapping[str, int]
    totals: Mapping[str, int]
    processes: list[Mapping[str, Any]]
    outboxes: int
    games_open: int

    @property
    def records_in(self) -> int:
        """How many were logged."""
        # Of a scattered producer there is no telling how many it logged; as many as came, then.
        known = sum(number for name, number in self.attempted.items() if name not in self.scattered)
        return known + sum(self.scattered.values()) + self._folded("attempted")

    @property
    def records_out(self) -> int:
        """How many different ones are written."""
        return sum(map(len, self.written.values())) + sum(self.scattered.values()) + self._folded("written")

    @property
    def quarantined(self) -> int:
        """How many are in quarantine and not written, unless they were purged."""
        return self._folded("aside") + sum(
            len(numbers.without(self.written.get(name, Intervals()))) for name, numbers in self.aside.items()
        )

    @property
    def unaccounted(self) -> int:
        """How many were logged and neither written nor put into quarantine: on their way, or lost."""
        return max(self.records_in - self.records_out - self.quarantined, 0)

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing below a producer's largest number that is written."""
        for name, numbers in self.written.items():
            aside = self.aside.get(name, Intervals())
            for first, after in numbers.gaps(0, numbers.end):
                for start, end in aside.gaps(first, after):
                    yield name, start, end

    def of_kind(self, kind: str) -> list[Mapping[str, Any]]:
        """Return what living processes of a kind said."""
        return [said for said in self.processes if said["kind"] == kind]

    def transports(self) -> list[Mapping[str, Any]]:
        """Return the counters of every living process's transport."""
        return [said["transport"] for said in self.processes if "transport" in said]

    def _folded(self, what: str) -> int:
        return self.totals.get(f"folded:{what}", 0)


def read_account(client: redis.Redis) -> Account:
    """Read the account. Raise StoreError when Redis does not answer, or holds what nobody of ours wrote."""
    try:
        with client.pipeline(transaction=True) as step:
            for key in (
                keys.pulse_totals(),
                keys.pulse_attempted(),
                keys.pulse_written(),
                keys.pulse_aside(),
            ):
                step.hgetall(key)
            step.zrange(keys.pulse_processes(), 0, -1)
            step.zrange(keys.servers(), 0, -1)
            step.zcard(keys.joined())
            totals, attempted, written, aside, processes, servers, games_open = step.execute()
        with client.pipeline(transaction=False) as step:
            for server in servers:
                step.hlen(keys.outbox(_text(server)))
            outboxes = sum(step.execute())
        said = client.mget([keys.pulse_process(_text(each)) for each in processes]) if processes else []
        scattered = {_text(name): _count(spans) for name, spans in written.items() if spans[:1] == b"~"}
        return Account(
            attempted={_text(name): int(number) for name, number in attempted.items()},
            written={_text(name): _numbers(spans) for name, spans in written.items() if spans[:1] != b"~"},
            aside={_text(name): _numbers(spans) for name, spans in aside.items() if spans[:1] != b"~"},
            scattered=scattered,
            totals={_text(name): int(count) for name, count in totals.items() if count.isdigit()},
            processes=[each for text in said if (each := _said(text)) is not None],
            outboxes=outboxes,
            games_open=games_open,
        )
    except redis.RedisError as error:
        raise StoreError(f"Redis does not answer: {error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"Redis holds a pulse that nobody of ours wrote: {error!r:.200}") from error


def _said(text: bytes | str | None) -> Mapping[str, Any] | None:
    """Return what a process said; None when it is silent by now, or speaks another version."""
    said = json.loads(text) if text is not None else {}
    return said if said.get("v") == VERSION else None


def _numbers(spans: bytes) -> Intervals:
    bounds = [int(number) for number in spans.split(b",")]
    numbers = Intervals()
    for start, end in zip(bounds[::2], bounds[1::2], strict=True):
        numbers.add(start, end)
    return numbers


def _count(scattered: bytes) -> int:
    return int(scattered[1:])


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
