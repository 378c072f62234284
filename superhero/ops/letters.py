"""Keep what is in quarantine in a file, and put it back: JSON Lines, a letter a line, whole.

A letter that is put back has the id it had, for that follows from what it holds; so one that is there already
is not put there twice.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from superhero.errors import ServiceError
from superhero.ops.quarantine import DeadLetter, Selection, look
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.dead_letters import Letter, absolve, with_reason
from superhero.transport.topology import DEAD_NAME, DEAD_QUEUE


def save(broker_url: str, path: Path, selection: Selection) -> int:
    """Write the letters meant to a file that only its owner can read, and return how many there were.

    They stay in quarantine. The file is whole or not there, and survives a power cut: when this returns they
    may be purged. Raise ServiceError where it cannot be written.
    """
    count = 0
    try:
        # Whatever lies beside is not ours to write into: its rights may be looser.
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            with open(beside, "x", encoding="utf-8", opener=_for_its_owner) as file:
                for dead in look(broker_url, selection):
                    file.write(json.dumps(_fields(dead), default=str) + "\n")
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror or error}") from error
    return count


def restore(broker_url: str, path: Path) -> tuple[int, int]:
    """Put the letters of a file into quarantine; return how many, and how many were there already.

    Raise ServiceError for a file that cannot be read, before anything is sent.
    """
    letters = list(_read(path))
    there = {dead.id for dead in look(broker_url, Selection())}
    missing = [(name, channel, message) for name, channel, message in letters if name not in there]
    with ConfirmedSender(broker_url) as sender:
        for _, channel, message in missing:
            sender.send(message, DEAD_NAME, channel, declare=[DEAD_QUEUE])
    return len(missing), len(letters) - len(missing)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    """Make a name that was moved into a folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fields(dead: DeadLetter) -> dict[str, Any]:
    letter, message = dead.letter, absolve(dead.message)
    return {
        "id": dead.id,
        **{"channel": letter.channel, "reason": letter.reason, "error": letter.error, "time": letter.time},
        "body_base64": base64.b64encode(message.body).decode(),
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "headers": dict(message.headers),
        "priority": message.priority,
        # A timestamp would come back as text, which is none.
        "properties": {k: v for k, v in message.properties.items() if isinstance(v, str | int)},
    }


def _read(path: Path) -> Iterator[tuple[str, str, RawMessage]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield _letter(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{path} cannot be read: {error}") from error


def _letter(path: Path, number: int, line: str) -> tuple[str, str, RawMessage]:
    try:
        told = json.loads(line)
        message = RawMessage(
            base64.b64decode(told["body_base64"], validate=True),
            content_type=told["content_type"],
            content_encoding=told["content_encoding"],
            headers=told["headers"],
            priority=told["priority"],
            properties=told["properties"],
        )
        letter = Letter(**{name: str(told[name]) for name in ("channel", "reason", "error", "time")})
        return str(told["id"]), letter.channel, with_reason(message, letter)
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"line {number} of {path} is no letter: {error!r}") from error
