"""The types of the fixtures that wait, `wait_until` and `eventually`, for tests to name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class WaitUntil(Protocol):
    """Looks at `condition` until it is true and returns its value; fails after `timeout_s`."""

    def __call__(self, condition: Callable[[], T], timeout_s: float = 10, every_s: float = 0.02) -> T: ...


class Eventually(Protocol):
    """`WaitUntil` for async tests: the condition may be a coroutine function, the loop goes on meanwhile."""

    async def __call__(
        self, condition: Callable[[], T | Awaitable[T]], timeout_s: float = 10, every_s: float = 0.02
    ) -> T: ...
