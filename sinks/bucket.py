"""Places in an object store (S3, Google Cloud Storage, Azure), kept right by conditional writes alone.

Every replacement carries the tag of what was read (If-Match), or asks that nothing be there (If-None-Match),
so of two writers that read the same state one is told that it came second. A store must therefore honour
these: Amazon S3 does, and so do MinIO, Ceph, Google's and Azure's; one that ignores them is not safe to use.
The driver, obstore, speaks to all of them; fsspec has no conditional writes to offer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

import obstore
from obstore import exceptions
from obstore.store import ObjectStore, from_url

from sinks.bucket_url import parse_bucket_url
from sinks.errors import SinkError, TransientSinkError
from sinks.places import Found, Replacement, Tag

AT_A_TIME = 8
"""How many requests are under way at a time."""

T = TypeVar("T")
R = TypeVar("R")


class Bucket:
    """Places below the URL of a bucket (sinks/bucket_url.py)."""

    def __init__(self, url: str) -> None:
        bucket = parse_bucket_url(url)
        self._url = bucket.url
        try:
            self._store: ObjectStore = from_url(  # type: ignore[call-overload]  # any driver's options
                f"{self._url}/superhero",
                config=dict(bucket.options),
                client_options={
                    "allow_http": bucket.allows_http,
                    "connect_timeout": timedelta(seconds=5),
                    "timeout": timedelta(seconds=60),
                },
                # Waiting for a store that is away is the task's business, not ours.
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=5)},
            )
        except (exceptions.BaseError, ValueError) as error:
            raise SinkError(f"cannot use {self._url} with {', '.join(bucket.options)}") from error

    def exclusive(self, paths: Iterable[str]) -> AbstractContextManager[None]:
        """Keep nobody out: a bucket has no locks."""
        return nullcontext()

    def read(self, wanted: Sequence[tuple[str, Tag | None]]) -> Sequence[Found | None]:
        """Read objects, but not those that are still the known ones."""
        return self._all(self._read, wanted)

    def replace(self, replacements: Sequence[Replacement]) -> Mapping[str, Tag]:
        """Replace objects, but not where another writer came first."""
        tags = self._all(self._replace, replacements)
        return {each.path: tag for each, tag in zip(replacements, tags, strict=True) if tag is not None}

    def secure(self, paths: Iterable[str]) -> None:
        """Do nothing: what can be read in a bucket is safe."""

    def _read(self, wanted: tuple[str, Tag | None]) -> Found | None:
        path, known = wanted
        try:
            found = obstore.get(self._store, path, options={"if_none_match": str(known)} if known else None)
            return Found(found.meta["e_tag"], bytes(found.bytes()))
        except exceptions.NotModifiedError:
            return Found(known, None)
        except (exceptions.NotFoundError, FileNotFoundError):
            return None

    def _replace(self, replacement: Replacement) -> Tag | None:
        tag = replacement.tag
        try:
            done = obstore.put(
                self._store,
                replacement.path,
                replacement.content,
                mode={"e_tag": str(tag)} if tag else "create",
                # In parts it would be visible under no condition.
                use_multipart=False,
            )
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            return None
        except exceptions.NotFoundError:
            if tag is None:
                raise  # the bucket itself is not there
            return None
        return done["e_tag"]

    def _all(self, function: Callable[[T], R], arguments: Sequence[T]) -> list[R]:
        with self._translated(), ThreadPoolExecutor(AT_A_TIME) as pool:
            return list(pool.map(function, arguments))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.BaseError, OSError) as error:
            raise TransientSinkError(f"cannot use {self._url}: {error}") from error
