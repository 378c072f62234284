"""Where commands print: on a terminal as wide as it is, elsewhere as wide as what is printed."""

from __future__ import annotations

import re
from typing import IO, Any, cast

from rich.console import Console

from superhero.config import columns

_AS_WIDE_AS_NEEDED = 100_000
_BEFORE_THE_END = re.compile(r"[ \t]+(?=\n)")


def stdout_console(*, highlight: bool = True) -> Console:
    """Return a console for the standard output.

    What goes into a pipe or a file is folded at no width but the one that COLUMNS asks for, so that whoever
    reads it finds each row on a line, and has no blanks at the ends of lines.
    """
    console = Console(highlight=highlight)
    if console.is_terminal:
        return console
    file = cast(IO[str], _WithoutTrailingBlanks(console.file))
    return Console(file=file, width=columns() or _AS_WIDE_AS_NEEDED, highlight=highlight)


class _WithoutTrailingBlanks:
    """A stream that rich writes whole prints to, tables filled up to their width with blanks."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a print, without the blanks at the ends of its lines."""
        return self._stream.write(_BEFORE_THE_END.sub("", text))
