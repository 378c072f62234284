"""Number the records of one process and put them into its buffer, from whatever thread they come.

A record may be logged while its own thread is in here already: by a signal handler, or by a finalizer that
the garbage collector runs between any two lines. Such records are set aside and put as soon as whoever was
interrupted goes on, so that nobody ever waits for itself. Nor does anybody for a reader of the buffer, whose
thread may log, too, by a finalizer: `put` takes one lock, and who holds that one asks for no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from secrets import token_hex

from superhero.transport.buffer import Buffer
from superhero.transport.capture import Captured
from superhero.transport.envelope import numbered, with_id
from superhero.transport.publisher import Publisher


class _Producer:
    """One channel's records in this process."""

    __slots__ = ("next_number", "template")

    def __init__(self, producer: str) -> None:
        self.template = numbered(producer)
        self.next_number = 0


class Intake:
    """Gives each record the next number of its channel. A number is never given twice, not even to a drop.

    So a record that was dropped leaves a gap, and the loss can be told from the sink alone.
    """

    def __init__(self, buffer: Buffer, publisher: Publisher) -> None:
        self.dropped = 0
        self._buffer = buffer
        self._publisher = publisher
        # 64 random bits: a process that starts anew never repeats a record id.
        self._process = token_hex(8)
        self._producers: dict[str, _Producer] = {}
        self._brought: dict[str, str] = {}
        self._brought_count = 0
        self._lock = buffer.put_lock
        self._put = buffer.put
        self._inside = False
        self._set_aside: deque[Captured] = deque()

    @property
    def emitted(self) -> int:
        """How many records there were: numbers that were given, which need no counting, and ids brought."""
        given = sum(producer.next_number for producer in list(self._producers.values()))
        return given + self._brought_count

    # One function, and a loop in it: a program that logs waits for this.
    def put(self, captured: Captured) -> None:
        """Keep a record, numbered unless it brought an id; count it as dropped when there is no room."""
        with self._lock:
            if self._inside:
                self._set_aside.append(captured)
                return
            self._inside = True
            try:
                while True:
                    channel, fields, record_id = captured
                    producer = self._producers.get(channel)
                    if record_id is None and producer is not None:
                        number = producer.next_number
                        producer.next_number = number + 1
                        encoded = producer.template % (number, fields[1:])
                    else:
                        encoded = self._numbered(channel, fields, record_id)
                    if not self._put(encoded):
                        self.dropped += 1
                    elif self._publisher.listening:
                        self._publisher.ring()
                    if not self._set_aside:
                        return
                    captured = self._set_aside.popleft()
            finally:
                self._inside = False

    def numbers(self) -> dict[str, int]:
        """Return, by producer, the number after its latest, of ids that were brought, too."""
        brought = (record_id.rpartition(":") for record_id in list(self._brought.values()))
        numbers = {name: int(number) + 1 for name, _, number in brought}
        for channel, producer in list(self._producers.items()):
            numbers[f"{self._process}-{channel}"] = producer.next_number
        return numbers

    def put_many(self, captured: Sequence[Captured]) -> None:
        """Do as `put` does with each record, at a fraction of the price."""
        with self._lock:
            if self._inside:
                self._set_aside.extend(captured)
                return
            self._inside = True
            try:
                encoded = [self._numbered(*each) for each in captured]
                self.dropped += len(encoded) - self._buffer.put_many(encoded)
                if self._publisher.listening:
                    self._publisher.ring()
            finally:
                self._inside = False
        self.put_set_aside()

    def put_set_aside(self) -> None:
        """Put what was set aside too late, in each round of the publisher's thread and in `flush`."""
        if self._set_aside:
            self.put(self._set_aside.popleft())

    def _numbered(self, channel: str, fields: bytes, record_id: str | None) -> bytes:
        """Return the whole envelope."""
        if record_id is not None:
            self._brought[channel] = record_id
            self._brought_count += 1
            return with_id(record_id, fields)
        producer = self._producers.get(channel)
        if producer is None:
            producer = self._producers[channel] = _Producer(f"{self._process}-{channel}")
        number = producer.next_number
        producer.next_number = number + 1
        return producer.template % (number, fields[1:])
