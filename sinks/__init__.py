"""Open a sink by URL: `open_sink("json:///data")`. A sink's driver is imported only when it is asked for.

| URL | sink | writes to |
| --- | --- | --- |
| `json:///data` | JSON Lines | the absolute folder /data |
| `json:var/data` | JSON Lines | the folder var/data under the working directory |

A path is taken as it stands: nothing in it is percent-decoded, and `json://host/path` is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sinks.base import Sink
from sinks.errors import SinkError

__all__ = ["open_sink"]


def open_sink(url: str) -> Sink:
    """Return the sink that `url` names; nothing is created or connected to before the first write.

    Raise SinkError, naming the known schemes, for a URL that names none.
    """
    scheme, _, rest = url.partition(":")
    opener = _OPENERS.get(scheme)
    if opener is None:
        known = ", ".join(f"{name}:" for name in sorted(_OPENERS))
        raise SinkError(f"no sink is called {scheme!r:.50}; a sink's URL begins with one of: {known}")
    return opener(rest)


def _json_lines(rest: str) -> Sink:
    from sinks.jsonlines import JsonLinesSink

    return JsonLinesSink(_folder("json", rest))


def _folder(scheme: str, rest: str) -> Path:
    path = rest.removeprefix("//")
    if not path or (path != rest and not path.startswith("/")):
        raise SinkError(f"{scheme}:{rest} names no folder; write {scheme}:///absolute or {scheme}:relative")
    return Path(path)


_OPENERS: dict[str, Callable[[str], Sink]] = {"json": _json_lines}
