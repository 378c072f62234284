"""How long a client tries again, and how often, before it gives up."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable

from superhero.errors import ServiceError, SuperheroError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0

logger = logging.getLogger(__name__)


class Trouble:
    """Attempts that failed since something last worked, and the pauses after them."""

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
        logger.debug("%s tries again in %.2f s: %s", self._name, self._pause_s, told)
        # Not from the bot's dice: its choices must not depend on what failed.
        await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
