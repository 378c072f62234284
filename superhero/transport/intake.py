"""Number the records of one process and put them into its buffer, from whatever thread they come.

A record may be logged while its own thread is in here already: by a signal handler, or by a finalizer that
the garbage collector runs between any two lines. And a finalizer may run in the publisher's thread, which
may hold the buffer's lock. Such records are set aside and put as soon as whoever was interrupted goes on, or
by the publisher in its next round, so that nobody ever waits for itself.
"""

from __future__ import annotations

import threading
from collections import deque
from secrets import token_hex

from superhero.transport.buffer import Buffer
from superhero.transport.envelope import with_id
from superhero.transport.publisher import Publisher

_Captured = tuple[str, bytes, str | None]


class Intake:
    """Gives each record the next number of its channel. A number is never given twice, not even to a drop.

    So a record that was dropped leaves a gap, and the loss can be told from the sink alone.
    """

    def __init__(self, buffer: Buffer, publisher: Publisher) -> None:
        self.emitted = 0
        self.dropped = 0
        self._buffer = buffer
        self._publisher = publisher
        # 64 random bits: a process that starts anew never repeats a record id.
        self._process = token_hex(8)
        self._next: dict[str, int] = {}
        self._lock = threading.RLock()
        self._inside = False
        self._set_aside: deque[_Captured] = deque()

    def put(self, channel: str, fields: bytes, record_id: str | None = None) -> None:
        """Keep a record, numbered unless it brought an id; count it as dropped when there is no room."""
        if self._publisher.thread_id == threading.get_ident():
            self._set_aside.append((channel, fields, record_id))
            self._publisher.ring()  # so that it does not go to sleep over it
            return
        with self._lock:
            if self._inside:
                self._set_aside.append((channel, fields, record_id))
                return
            self._inside = True
            try:
                self._put(channel, fields, record_id)
                if self._set_aside:
                    self._put_set_aside()
            finally:
                self._inside = False

    def put_set_aside(self) -> None:
        """Put what was set aside. The publisher's thread calls it between two rounds, holding no lock."""
        if self._set_aside:
            with self._lock:
                self._inside = True
                try:
                    self._put_set_aside()
                finally:
                    self._inside = False

    def _put_set_aside(self) -> None:
        while self._set_aside:
            self._put(*self._set_aside.popleft())

    def _put(self, channel: str, fields: bytes, record_id: str | None) -> None:
        if record_id is None:
            number = self._next.get(channel, 0)
            self._next[channel] = number + 1
            record_id = f"{self._process}-{channel}:{number}"
        self.emitted += 1
        if not self._buffer.put(channel, record_id, with_id(record_id, fields)):
            self.dropped += 1
        elif self._publisher.listening:
            self._publisher.ring()
