"""Open a sink by URL: `open_sink("json:///data")`. A sink's driver is imported only when it is asked for.

| URL | sink | writes to |
| --- | --- | --- |
| `json:///data` | JSON Lines | the absolute folder /data |
| `json:var/data` | JSON Lines | the folder var/data under the working directory |
| `parquet:///lake`, `parquet:lake` | Parquet | a folder |
| `parquet:s3://bucket/lake?region=...` | Parquet | a bucket, see sinks/bucket.py |
| `delta:///lake`, `delta:s3://bucket/lake?...` | Delta Lake | a table per dataset, see sinks/delta.py |
| `postgresql://user:password@host/db` | SQL | PostgreSQL, see sinks/sql.py |
| `mariadb://user:password@host/db` | SQL | MariaDB |
| `sqlite:////var/data/superhero.db` | SQL | the absolute file; with three slashes, a relative one |

Several URLs, separated by white space, are a sink that writes to all of them. A path is taken as it stands:
nothing in it is percent-decoded, and `json://host/path` is refused. Further sinks come from other packages,
by an entry point in the group `superhero.sinks`: its name is the scheme, its object a function from what
stands behind the scheme's colon to a Sink (examples/sink-example).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from sinks.base import Sink
from sinks.errors import SinkError

__all__ = ["ENTRY_POINTS", "open_sink", "shown"]

ENTRY_POINTS = "superhero.sinks"

# A folder's name may have white space in it, so only what is followed by a scheme separates.
_BETWEEN_URLS = re.compile(r"\s+(?=[a-z][a-z0-9+-]*:)")


def open_sink(url: str) -> Sink:
    """Return the sink that `url` names; nothing is created or connected to before the first write.

    Raise SinkError, naming the known schemes, for a URL that names none, and for a sink whose driver is not
    installed. What stands behind the scheme may hold a password and is in no error's text.
    """
    urls = _BETWEEN_URLS.split(url.strip())
    if len(urls) == 1:
        return _open_one(urls[0])
    from sinks.several import SeveralSinks

    return SeveralSinks([_open_one(each) for each in urls])


def shown(url: str) -> str:
    """Return where a sink writes to, for people: folders absolute, and nothing that may be secret."""
    return " ".join(_shown_one(each) for each in _BETWEEN_URLS.split(url.strip()))


def _shown_one(url: str) -> str:
    scheme, _, rest = url.partition(":")
    if scheme in ("json", "parquet", "delta") and "://" not in rest:
        return f"{scheme}:{_folder(scheme, rest).absolute()}"
    if scheme == "sqlite":
        return f"sqlite:{Path(rest.removeprefix('///').partition('?')[0]).absolute()}"
    if scheme not in _OPENERS:
        return f"{scheme}:..."
    try:
        address = urlsplit(rest if "://" in rest else url)
        host = address.hostname or ""
    except ValueError:
        return f"{scheme}:..."
    # A password with a slash in it makes a path of what follows.
    path = "" if "@" in address.path else address.path
    return f"{scheme}:{address.scheme}://{host}{path}" if "://" in rest else f"{scheme}://{host}{path}"


def _open_one(url: str) -> Sink:
    scheme, _, rest = url.partition(":")
    opener = _OPENERS.get(scheme)
    if opener is not None:
        return opener(rest)
    by_others = {each.name: each for each in entry_points(group=ENTRY_POINTS)}
    if scheme in by_others:
        sink: Sink = by_others[scheme].load()(rest)
        return sink
    known = ", ".join(f"{name}:" for name in sorted({*_OPENERS, *by_others}))
    raise SinkError(f"no sink is called {scheme!r:.50}; a sink's URL begins with one of: {known}")


def _json_lines(rest: str) -> Sink:
    from sinks.jsonlines import JsonLinesSink

    return JsonLinesSink(_folder("json", rest))


def _parquet(rest: str) -> Sink:
    is_bucket = "://" in rest
    try:
        from sinks.parquet import ParquetSink

        if is_bucket:
            from sinks.bucket import Bucket
    except ModuleNotFoundError as error:
        raise _not_installed("parquet", "s3" if is_bucket else "parquet", error) from error
    if is_bucket:
        return ParquetSink(Bucket(rest))
    from sinks.places import Folder

    return ParquetSink(Folder(_folder("parquet", rest) / "superhero"))


def _delta(rest: str) -> Sink:
    try:
        from sinks.delta import DeltaSink
    except ModuleNotFoundError as error:
        raise _not_installed("delta", "delta", error) from error
    from sinks.bucket_url import parse_bucket_url

    return DeltaSink(parse_bucket_url(rest) if "://" in rest else _folder("delta", rest))


def _sql(scheme: str) -> Callable[[str], Sink]:
    def opener(rest: str) -> Sink:
        try:
            from sinks.sql import SqlSink

            return SqlSink(f"{scheme}:{rest}")
        except ModuleNotFoundError as error:
            raise _not_installed(scheme, "sql" if scheme == "sqlite" else scheme, error) from error

    return opener


def _not_installed(scheme: str, extra: str, error: ModuleNotFoundError) -> SinkError:
    return SinkError(
        f"the sink {scheme}: needs {error.name}, which is not installed: pip install -e '.[{extra}]' in the "
        "project's folder"
    )


def _folder(scheme: str, rest: str) -> Path:
    path = rest.removeprefix("//")
    if not path or (path != rest and not path.startswith("/")):
        raise SinkError(f"{scheme}:{rest} names no folder; write {scheme}:///absolute or {scheme}:relative")
    return Path(path)


_OPENERS: dict[str, Callable[[str], Sink]] = {
    "json": _json_lines,
    "parquet": _parquet,
    "delta": _delta,
    "postgresql": _sql("postgresql"),
    "mariadb": _sql("mariadb"),
    "sqlite": _sql("sqlite"),
}
