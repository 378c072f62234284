"""Read files that somebody else is writing, each whole line once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


class Tail:
    """Knows how far it has read each file, by name."""

    def __init__(self) -> None:
        self._read_bytes: dict[str, int] = {}

    def lines(self, path: Path) -> Iterator[str]:
        """Yield the lines that came since last time; nothing when the file is not there."""
        begin = self._read_bytes.get(path.name, 0)
        try:
            with path.open("rb") as file:
                file.seek(begin)
                content = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read_bytes[path.name] = begin + len(whole)
        # Not splitlines: a line of JSON may hold other line separators of Unicode.
        yield from whole.decode("utf-8", "replace").split("\n")[:-1]
