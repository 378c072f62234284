"""Tokens: the secret one by which a user acts, the public id that names it to all others, and a game's."""

from __future__ import annotations

import hashlib
import re
import secrets

_SECRET = re.compile(r"[0-9a-f]{32}")
_SHORT = re.compile(r"[0-9a-f]{16}")


def new_user_token() -> str:
    """Return a secret user token: 128 random bits in hex."""
    return secrets.token_hex(16)


def new_game_token() -> str:
    """Return a game token: 64 random bits in hex, safe as a file name."""
    return secrets.token_hex(8)


def new_server_id() -> str:
    """Return an id for one run of a server process."""
    return secrets.token_hex(4)


def public_id(user_token: str) -> str:
    """Return the id that others see: derived from the secret token, and no way back."""
    return hashlib.sha256(user_token.encode()).hexdigest()[:16]


def is_user_token(text: str) -> bool:
    """Whether `text` has the form of a secret user token."""
    return _SECRET.fullmatch(text) is not None


def is_public_id(text: str) -> bool:
    """Whether `text` has the form of a public id."""
    return _SHORT.fullmatch(text) is not None


def is_game_token(text: str) -> bool:
    """Whether `text` has the form of a game token."""
    return _SHORT.fullmatch(text) is not None
