"""How long a client tries again, and how often, before it gives up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from typing import ClassVar

from superhero.errors import ServiceError, SuperheroError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_TELL_EVERY_S = 5.0
"""How often it is told that somebody waits; of thousands of bots one speaks for all."""

logger = logging.getLogger(__name__)


class Trouble:
    """Attempts that failed since something last worked, and the pauses after them."""

    tell_at: ClassVar[float] = 0.0

    def __init__(self, name: str, urls: Iterable[str], patience_s: float) -> None:
        self._name = name
        self._urls = urls
        self._patience_s = patience_s
        self.over()

    def over(self) -> None:
        """Begin anew: something worked."""
        self._pause_s = _FIRST_PAUSE_S
        self._since = asyncio.get_running_loop().time()

    async def pause(self, error: Exception) -> None:
        """Wait before the next attempt, longer each time; raise ServiceError when patience is at its end."""
        told = str(error) if isinstance(error, SuperheroError) else f"{type(error).__name__}: {error}"
        waited_s = asyncio.get_running_loop().time() - self._since
        if waited_s >= self._patience_s:
            raise ServiceError(
                f"{self._name} got no further at {', '.join(sorted(self._urls))} for {waited_s:.0f} s; "
                f"last: {told}"
            ) from error
        if time.monotonic() >= Trouble.tell_at:
            Trouble.tell_at = time.monotonic() + _TELL_EVERY_S
            logger.warning("%s waits for %s: %s", self._name, ", ".join(sorted(self._urls)), told)
        # Not from the bot's dice: its choices must not depend on what failed.
        await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
