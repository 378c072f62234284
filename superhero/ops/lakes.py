"""Read Parquet and Delta Lake datasets, from a folder or a bucket, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from superhero.errors import ServiceError

Cells = dict[str, Any]

_BATCH = 10_000


class ParquetFolder:
    """A Parquet sink's folder: a row per cell of every file of a dataset."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def cells(self, dataset: str) -> Iterator[Cells]:
        """Yield a dataset's rows as they stand."""
        for path in sorted((self._folder / "superhero" / f"dataset={dataset}").rglob("*.parquet")):
            yield from _of_parquet(str(path), path.read_bytes())


class ParquetBucket:
    """A Parquet sink's bucket, by its URL: s3://bucket/prefix?region=..."""

    def __init__(self, url: str) -> None:
        self._url, self._options = _bucket(url)

    def cells(self, dataset: str) -> Iterator[Cells]:
        """Yield a dataset's rows as they stand."""
        try:
            import obstore
            from obstore import exceptions
            from obstore.store import from_url
        except ModuleNotFoundError as error:
            raise not_installed(error, "s3") from error
        try:
            store = from_url(  # type: ignore[call-overload]  # any driver's options
                f"{self._url}/superhero/dataset={dataset}",
                config=dict(self._options),
                client_options={"allow_http": _allows_http(self._options)},
            )
            paths = sorted(each["path"] for page in obstore.list(store) for each in page)
            for path in paths:
                yield from _of_parquet(path, bytes(obstore.get(store, path).bytes()))
        except (exceptions.BaseError, OSError) as error:
            raise ServiceError(f"cannot read {self._url}: {error}") from error


class DeltaTables:
    """A Delta Lake sink's tables, in a folder or in a bucket."""

    def __init__(self, place: Path | str) -> None:
        self._options: Mapping[str, str] | None = None
        if isinstance(place, Path):
            self._root = str(place.absolute())
        else:
            self._root, options = _bucket(place)
            self._options = {**options, "allow_http": str(_allows_http(options)).lower()}

    def cells(self, dataset: str) -> Iterator[Cells]:
        """Yield a dataset's rows as they stand."""
        try:
            import pyarrow.parquet as pq
            from deltalake import DeltaTable
            from deltalake.exceptions import DeltaError
        except ModuleNotFoundError as error:
            raise not_installed(error, "delta") from error
        place, options = f"{self._root}/superhero_delta/{dataset}", dict(self._options or {})
        try:
            if not DeltaTable.is_deltatable(place, options):
                return
            files: Any = DeltaTable(place, storage_options=options).to_pyarrow_dataset()
            # File by file: scanned as one, a dataset keeps what it learnt of each of its thousands of files.
            for path in files.files:
                with files.filesystem.open_input_file(path) as file:
                    for batch in pq.ParquetFile(file).iter_batches(_BATCH):
                        yield from batch.to_pylist()
        except (DeltaError, OSError) as error:
            raise ServiceError(f"cannot read {place}: {error}") from error


def not_installed(error: ModuleNotFoundError, extra: str) -> ServiceError:
    """Return an error that says how to get what is missing."""
    return ServiceError(
        f"this needs {error.name}, which is not installed: "
        f"pip install -e '.[{extra}]' in the project's folder"
    )


def _of_parquet(path: str, content: bytes) -> Iterator[Cells]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise not_installed(error, "parquet") from error
    try:
        for batch in pq.ParquetFile(pa.BufferReader(content)).iter_batches(_BATCH):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ServiceError(f"{path} cannot be read: {error}") from error


def _bucket(url: str) -> tuple[str, dict[str, str]]:
    """Return a bucket's place and the driver's options, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", dict(parse_qsl(parts.query))


def _allows_http(options: Mapping[str, str]) -> bool:
    return options.get("endpoint", "").startswith("http://")
