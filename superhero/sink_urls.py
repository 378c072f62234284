"""What may stand in SINKS, as far as a URL can be judged without its sink: the rules of `sinks`."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

# White space before a scheme separates, other white space belongs to a folder's name.
BETWEEN_URLS = re.compile(r"\s+(?=[a-z][a-z0-9+-]*:)")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,49}")
_FOLDERS = ("json", "parquet", "delta")
_OWN = (*_FOLDERS, "postgresql", "mariadb", "sqlite")


def sink_urls(text: str) -> str:
    """Return the text. Raise ValueError where no sink goes by a URL's scheme, or a folder has no name.

    What stands behind a scheme may hold a password and is in no error. Whether its driver is installed and
    the sink can be reached only the worker finds out.
    """
    for url in BETWEEN_URLS.split(text.strip()):
        scheme, colon, rest = url.partition(":")
        by_others = () if scheme in _OWN else entry_points(group="superhero.sinks").names
        if scheme not in (*_OWN, *by_others):
            known = ", ".join(f"{name}:" for name in sorted({*_OWN, *by_others}))
            called = f"no sink is called {scheme!r:.50}" if colon else "it begins with no scheme"
            raise ValueError(f"{called}; a sink's URL begins with one of: {known}")
        path = rest.removeprefix("//")
        if scheme in _FOLDERS and (not path or (path != rest and not path.startswith("/"))):
            raise ValueError(f"{scheme}: names no folder; write {scheme}:///absolute or {scheme}:relative")
    return text


def schemes(text: str) -> str:
    """Return the schemes that URLs begin with, for an error: nothing behind them, as that may be secret."""
    found = (url.partition(":") for url in BETWEEN_URLS.split(text.strip()))
    return ", ".join(
        repr(f"{scheme}:") if colon and _SCHEME.fullmatch(scheme) else "what begins with no scheme"
        for scheme, colon, _ in found
    )
