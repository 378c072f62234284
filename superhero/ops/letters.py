"""Keep what is in quarantine in a file, and put it back: JSON Lines, a letter a line, whole.

A letter that is put back has the id it had, for that follows from what it holds; so one that is there already
is not put there twice.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from superhero.errors import ServiceError
from superhero.ops.quarantine import DeadLetter, Selection, look
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.dead_letters import Letter, absolve, with_reason
from superhero.transport.topology import DEAD_NAME, DEAD_QUEUE


def save(broker_url: str, path: Path, selection: Selection) -> int:
    """Write the letters meant to a file that only its owner can read, and return how many there were.

    They stay in quarantine. The file is whole or not there. Raise ServiceError where it cannot be written.
    """
    beside, count = path.with_name(f"{path.name}.tmp"), 0
    try:
        beside.touch(mode=0o600)
        with beside.open("w", encoding="utf-8") as file:
            for dead in look(broker_url, selection):
                file.write(json.dumps(_fields(dead), default=str) + "\n")
                count += 1
        beside.replace(path)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it is in its place, or could not be made
            beside.unlink()
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
