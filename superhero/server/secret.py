"""A secret that is asked for: compared in constant time, shown in no representation."""

from __future__ import annotations

import hmac

from websockets.http11 import Request

_SCHEME = "bearer "


class Secret:
    """What one must show. An empty one is not set; whether everybody may come in then, the caller says."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @property
    def is_set(self) -> bool:
        """Whether there is a secret at all."""
        return bool(self._secret)

    def is_shown(self, text: object) -> bool:
        """Whether `text` is the secret; never when none is set."""
        return self.is_set and isinstance(text, str) and hmac.compare_digest(text.encode(), self._secret)

    def is_shown_by(self, request: Request) -> bool:
        """Whether a request shows it as `Authorization: Bearer <secret>`."""
        shown = request.headers.get_all("Authorization")
        if len(shown) != 1 or shown[0][: len(_SCHEME)].lower() != _SCHEME:
            return False
        return self.is_shown(shown[0][len(_SCHEME) :].strip())
