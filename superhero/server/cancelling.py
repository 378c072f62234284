"""End a task for sure."""

from __future__ import annotations

import asyncio
from typing import Any

_CANCEL_AGAIN_S = 0.1


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end: Python 3.11's `wait_for`, which the Redis client uses, may
    swallow a cancellation.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
