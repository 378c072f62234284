"""Processes that a supervisor keeps alive: what dies is started again, as systemd or Kubernetes would."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from superhero.errors import ServiceError
from superhero.ops.processes import Process

RESTART_AFTER_S = 0.5
_LONG_S = 3600.0


class Fleet:
    """`size` processes, each in a slot of its own. A context manager; safe to use from many threads.

    `start` is called with a slot's number whenever its process is to be started, from a thread of the fleet.
    """

    def __init__(self, name: str, start: Callable[[int], Process], size: int) -> None:
        self.name = name
        self._start = start
        self._members: dict[int, Process] = {}
        self._changed = threading.Condition()
        self._held = False
        self._over = False
        self._failure: ServiceError | None = None
        self._keepers = [
            threading.Thread(target=self._keep, args=(slot,), name=f"{name}-{slot}", daemon=True)
            for slot in range(size)
        ]

    def open(self) -> None:
        """Start every process; returns at once."""
        for keeper in self._keepers:
            keeper.start()

    def members(self) -> list[Process]:
        """Return those that run, by slot. Raise what kept one from being started."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            return [member for _, member in sorted(self._members.items()) if member.running]

    def wait_for(self, ready: Callable[[list[Process]], bool], timeout_s: float) -> bool:
        """Wait until `ready` of the running ones holds; looked at whenever one starts or ends."""
        with self._changed:
            return self._changed.wait_for(lambda: ready(self.members()), timeout_s)

    def full(self) -> bool:
        """Tell whether every slot's process runs."""
        return len(self.members()) == len(self._keepers)

    def hold(self) -> None:
        """Start nothing again until `release`."""
        with self._changed:
            self._held = True

    def release(self) -> None:
        """Start again what died since `hold`."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def stop(self, timeout_s: float = 20.0) -> None:
        """Ask every process to end, kill those that do not, and start nothing again."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        # Asked together, so that they end side by side.
        enders = [
            threading.Thread(target=member.stop, args=(timeout_s,), name=f"stop-{member.name}")
            for member in self._members.values()
        ]
        for thread in enders:
            thread.start()
        for thread in (*enders, *(keeper for keeper in self._keepers if keeper.ident)):
            thread.join()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _keep(self, slot: int) -> None:
        while self._wait_for_start():
            try:
                member = self._start(slot)
            except ServiceError as error:  # raised by whoever looks next: a thread has nobody to raise to
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._members[slot] = member
                self._changed.notify_all()
                too_late = self._over
            if too_late:
                member.stop()
            while member.running:
                member.wait(_LONG_S)
            with self._changed:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._over, RESTART_AFTER_S)

    def _wait_for_start(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._over or not self._held)
            return not self._over
