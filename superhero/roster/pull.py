"""Pull heroes from Super Hero API, one after another, and go on where the last attempt stopped.

What was answered is appended to `<file>.part` at once, a JSON line each; the file itself appears, whole, when
every id was asked for. The API wants its token in the path of every URL: it is kept out of errors and logs.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import httpx

from superhero.errors import RosterError
from superhero.roster.hero import Hero

FIRST_ID, LAST_ID = 1, 731
"""The ids that Super Hero API has."""

ATTEMPTS = 6
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_TIMEOUT_S = 15.0
_REFUSED = (401, 403)
_NOT_FOUND = (404, 410)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought. `skipped` says, per id, why there is no hero; `heroes` are in the file, by id."""

    heroes: list[Hero]
    skipped: Mapping[int, str]


class HeroApi:
    """A client of Super Hero API at `base_url`. A context manager.

    What is worth another try (429, 5xx, time-outs, lost connections) is tried ATTEMPTS times in all, waiting
    between with `pause`, longer each time and never as long as another client, or as long as the answer says.
    """

    def __init__(self, base_url: str, token: str, pause: Callable[[float], None] = time.sleep) -> None:
        if not token:
            raise RosterError("Super Hero API wants a token: set SUPERHERO_API_TOKEN")
        self._secret = quote(token, safe="")
        self._base_url = f"{base_url.rstrip('/')}/{self._secret}"
        self._pause = pause
        self._jitter = random.Random().uniform
        self._http = httpx.Client(timeout=_TIMEOUT_S)

    def __enter__(self) -> HeroApi:
        return self

    def __exit__(self, *raised: object) -> None:
        self._http.close()

    def fetch(self, hero_id: int) -> dict[str, Any]:
        """Return the API's answer for an id: a record, or `{"response": "error", ...}` where it has none.

        Raise RosterError when the token is refused, the answer makes no sense, or every attempt failed.
        """
        trouble, wait_s = "", 0.0
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(wait_s)
            wait_s = self._jitter(0.5, 1.0) * min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S)
            try:
                with _quiet_httpx():
                    answer = self._http.get(f"{self._base_url}/{hero_id}")
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}".replace(self._secret, "***")
                continue
            if answer.status_code == 429 or answer.status_code >= 500:
                trouble = f"HTTP status {answer.status_code}"
                wait_s = max(wait_s, _asked_to_wait_s(answer))
                continue
            return self._read(hero_id, answer)
        raise RosterError(
            f"hero {hero_id}: Super Hero API failed {ATTEMPTS} times, the last time with {trouble}; "
            "run the command again later, it goes on where it stopped"
        )

    def _read(self, hero_id: int, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code in _REFUSED:
            raise RosterError(f"Super Hero API refused the token (HTTP status {answer.status_code})")
        if answer.status_code in _NOT_FOUND:
            return {"response": "error", "error": f"HTTP status {answer.status_code}"}
        try:
            record = answer.json() if answer.status_code == 200 else None
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            # Of a redirect, too: followed, it would carry the token to who knows where.
            raise RosterError(
                f"hero {hero_id}: SUPERHERO_API_URL answers with HTTP status {answer.status_code} and no "
                "JSON object; is it the API's base URL?"
            )
        if record.get("response") == "error" and "access" in str(record.get("error", "")).lower():
            raise RosterError("Super Hero API refused the token (access denied)")
        return record


def pull(
    api: HeroApi, path: Path, ids: range, progress: Callable[[int, str], None] = lambda done, name: None
) -> Pulled:
    """Pull every id in `ids` into `path`, beginning with what an earlier attempt left in `<path>.part`.

    `progress` is told how many ids are done, and the last one's name. Raise RosterError as HeroApi.fetch
    does; what was pulled by then is kept.
    """
    if path.exists() and not path.is_file():
        raise RosterError(f"{path} is no file that heroes could be written to")
    path = path.resolve()  # a link stays a link
    part = path.with_name(f"{path.name}.part")
    try:
        answers = _left_by_an_earlier_attempt(part)
        with part.open("a", encoding="utf-8") as lines:
            for hero_id in ids:
                if hero_id not in answers:
                    answers[hero_id] = api.fetch(hero_id)
                    _append(lines, hero_id, answers[hero_id])
                done = hero_id - ids.start + 1
                progress(done, str(answers[hero_id].get("name", "")))
        pulled = _sort_out({hero_id: answers[hero_id] for hero_id in ids})
        _write_whole(path, [hero.record for hero in pulled.heroes])
        part.unlink()
    except OSError as error:
        raise RosterError(f"{error.filename or path} cannot be used: {error.strerror or error}") from error
    return pulled


def _sort_out(answers: Mapping[int, Mapping[str, Any]]) -> Pulled:
    heroes, skipped = [], {}
    for hero_id, answer in answers.items():
        if answer.get("response") == "error":
            skipped[hero_id] = f"the API has none: {answer.get('error')!s:.100}"
            continue
        try:
            hero = Hero.from_record(answer)
        except RosterError as error:
            skipped[hero_id] = str(error)
            continue
        if hero.id == hero_id:
            heroes.append(hero)
        else:
            skipped[hero_id] = f"the API answered with hero {hero.id}"
    return Pulled(heroes, skipped)


def _left_by_an_earlier_attempt(part: Path) -> dict[int, dict[str, Any]]:
    """Return the answers in a partial file; a line that was cut off is taken out of it."""
    if not part.exists():
        return {}
    answers: dict[int, dict[str, Any]] = {}
    whole_bytes = 0
    for line in part.read_bytes().splitlines(keepends=True):
        try:
            hero_id, answer = json.loads(line)
        except (ValueError, TypeError):
            break
        if not (line.endswith(b"\n") and isinstance(hero_id, int) and isinstance(answer, dict)):
            break
        answers[hero_id] = answer
        whole_bytes += len(line)
    os.truncate(part, whole_bytes)
    return answers


def _append(lines: TextIO, hero_id: int, answer: Mapping[str, Any]) -> None:
    lines.write(json.dumps([hero_id, answer], separators=(",", ":")) + "\n")
    lines.flush()


def _write_whole(path: Path, records: list[Mapping[str, Any]]) -> None:
    """Write a hero file so that it is there whole or not at all."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(records, file, ensure_ascii=False, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _asked_to_wait_s(answer: httpx.Response) -> float:
    """Return what Retry-After asks for in seconds, within reason; 0 where it asks for nothing we know."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), 2 * _LONGEST_WAIT_S) if text.isascii() and text.isdigit() else 0.0


@contextmanager
def _quiet_httpx() -> Iterator[None]:
    """Keep httpx from logging the URL, and the token with it, while a request is made."""
    logger = logging.getLogger("httpx")
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
