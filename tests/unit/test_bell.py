"""The bell that the transport's threads sleep by."""

from __future__ import annotations

import signal
import threading
import time

from superhero.transport.bell import Bell


def test_a_ring_that_came_before_the_wait_ends_it_at_once_and_only_one() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(float("inf"))
    assert not bell.wait(0.01)


def test_a_ring_ends_a_wait() -> None:
    bell = Bell()
    threading.Timer(0.05, bell.ring).start()
    assert bell.wait(10)


def test_time_that_is_up_ends_a_wait() -> None:
    assert not Bell().wait(0.01)
    assert not Bell().wait(-1.0)


def test_a_wait_that_signals_interrupt_ends_in_time_all_the_same() -> None:
    bell, over, signalled = Bell(), threading.Event(), threading.Event()

    def work() -> None:
        for _ in range(2000):
            bell.wait(0.0002)
        over.set()
        signalled.wait(30)  # a thread that has ended must not be sent a signal

    thread = threading.Thread(target=work, daemon=True)
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        thread.start()
        deadline = time.monotonic() + 20
        while not over.wait(0.0001) and time.monotonic() < deadline:
            signal.pthread_kill(thread.ident or 0, signal.SIGALRM)
        assert over.is_set()
    finally:
        signalled.set()
        signal.signal(signal.SIGALRM, before)
    thread.join()
