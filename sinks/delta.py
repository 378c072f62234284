"""Delta Lake: a table per dataset, partitioned by date; a commit per table and batch; a row once per key.

    <root>/superhero_delta/<DATASET>     a Delta table

Why Delta Lake and not Iceberg: its commits need nothing beside the files. A commit is a numbered file that
can be created once, on a disk and in a bucket alike; Iceberg asks for a catalogue, a service of its own. What
makes a redelivered row harmless is MERGE: insert the rows whose keys the table does not have. It reads and
adds in one transaction at the isolation level Serializable, so that of two workers with the same row the
second is refused ("concurrent transactions added new data"), looks again and finds the row there. The other
means that Delta Lake has, a version per application (`txn`), tells only how far a producer has come, and a
record that comes late, in another batch, would be taken for one that was written.

The date is part of the key, so a batch reads the partitions of its own dates alone. Delta Lake has no
unsigned numbers: UINT64 is DECIMAL(20, 0), UINT16 INTEGER, UINT8 SMALLINT. Every batch adds small files and
so makes the next one slower: merge them (`OPTIMIZE`, `superhero compact`) now and then; a batch that meets a
compaction is tried again, as always.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from sinks.base import Put, Sink, Write
from sinks.bucket_url import BucketUrl
from sinks.durable import make_folder, opened, sync_folder, translated
from sinks.errors import TransientSinkError
from sinks.rows import Cells, Fitting, date_of
from sinks.schemas import EXTRA, OBJECT_KEY, OBJECT_ROW, RECORD_ID, Schema, Type, schema_of

DATE = "date"
NO_DATE = "none"

TRIES = 50
"""How often a batch is tried again at once because another writer's commit came first."""

LOOK_BACK = 100
"""How many commits of others a process makes safe when it first sees a table; older ones the system has."""

_TYPES: Mapping[Type, pa.DataType] = {
    Type.NAME: pa.string(),
    Type.TEXT: pa.string(),
    Type.UINT8: pa.int16(),
    Type.UINT16: pa.int32(),
    Type.UINT64: pa.decimal128(20, 0),
    Type.TIME: pa.timestamp("us", tz="UTC"),
    Type.JSON: pa.string(),
}

Rows = dict[tuple[str, int], Cells]


class DeltaSink(Sink):
    """Writes tables below a folder or a bucket. Any number of processes; one thread per object."""

    def __init__(self, root: Path | BucketUrl) -> None:
        self._root = root
        self._tables: dict[str, DeltaTable] = {}
        self._secured: dict[str, int] = {}

    def write(self, writes: Sequence[Write]) -> None:
        """Commit every write of the batch, a commit for each dataset that lacks something.

        Raise TransientSinkError when the place refused or others kept coming first, TerminalSinkError when a
        row is not JSON, and then nothing was written.
        """
        for schema, rows in _batch(writes).items():
            with self._translated():
                self._merge(schema, rows)

    def close(self) -> None:
        """Forget the tables; none is kept open between writes."""
        self._tables.clear()

    def _merge(self, schema: Schema, rows: Rows) -> None:
        source = pa.Table.from_pylist(list(rows.values()), _arrow_schema(schema))
        keys = " AND ".join(f"t.{name} = s.{name}" for name in (DATE, *schema.shape.value))
        for _ in range(TRIES):
            try:
                table = self._table(schema)
                (
                    # Not streamed: then what the source has at most is known, and other files are left out.
                    table.merge(source, keys, "s", "t", merge_schema=True, streamed_exec=False)
                    .when_not_matched_insert({name: f"s.{name}" for name in source.column_names})
                    .execute()
                )
            except CommitFailedError:
                # Another writer's commit came first: its rows may be ours, so look again.
                continue
            self._secure(schema.dataset, table)
            return
        raise TransientSinkError(f"other writers came first {TRIES} times at {schema.dataset}")

    def _table(self, schema: Schema) -> DeltaTable:
        """Return the table as it stands now; it is made if need be."""
        if schema.dataset in self._tables:
            table = self._tables[schema.dataset]
            table.update_incremental()
            return table
        place, options = self._place(schema.dataset)
        try:
            table = DeltaTable(place, storage_options=options)
        except TableNotFoundError:
            if isinstance(self._root, Path):
                make_folder(Path(place))
            table = DeltaTable.create(
                place,
                _arrow_schema(schema),
                mode="ignore",
                partition_by=[DATE],
                description=schema.meaning,
                storage_options=options,
            )
        self._tables[schema.dataset] = table
        return table

    def _place(self, dataset: str) -> tuple[str, dict[str, str] | None]:
        if isinstance(self._root, Path):
            return str(self._root.absolute() / "superhero_delta" / dataset), None
        options = {"conditional_put": "etag", **self._root.options}
        if self._root.allows_http:
            options["allow_http"] = "true"
        return f"{self._root.url}/superhero_delta/{dataset}", options

    def _secure(self, dataset: str, table: DeltaTable) -> None:
        """Sync what was committed since the last time, by whomever: the driver does not, on a disk."""
        if isinstance(self._root, Path):
            folder = Path(self._place(dataset)[0])
            version = table.version()
            done = self._secured.get(dataset, version - LOOK_BACK)
            for each in range(max(done + 1, 0), version + 1):
                _sync_commit(folder, each)
            sync_folder(folder / "_delta_log")
            self._secured[dataset] = version

    @contextmanager
    def _translated(self) -> Iterator[None]:
        shown = self._root.url if isinstance(self._root, BucketUrl) else self._root
        try:
            with translated(Path(str(shown))):
                yield
        except (DeltaError, pa.ArrowException) as error:
            self._tables.clear()
            raise TransientSinkError(f"cannot write under {shown}: {error}") from error


def _batch(writes: Sequence[Write]) -> dict[Schema, Rows]:
    """Return each dataset's rows by their keys; of rows with the same key the first counts."""
    batch: dict[Schema, Rows] = {}
    for write in writes:
        schema = schema_of(write)
        fitting = Fitting(schema)
        rows = batch.setdefault(schema, {})
        for number, row in enumerate(write.rows):
            if isinstance(write, Put):
                key, identity = (write.key, number), {OBJECT_KEY: write.key, OBJECT_ROW: number}
                time: object = write.time
            else:
                key, identity = (row[RECORD_ID], 0), {RECORD_ID: row[RECORD_ID]}
                time = row.get("time")
            if key not in rows:
                rows[key] = {DATE: date_of(time) or NO_DATE, **fitting.cells(row, identity)}
    return {schema: rows for schema, rows in batch.items() if rows}


def _arrow_schema(schema: Schema) -> pa.Schema:
    fields = [pa.field(column.name, _TYPES[column.type]) for column in schema.columns]
    return pa.schema([pa.field(DATE, pa.string()), *fields, pa.field(EXTRA, pa.string())])


def _sync_commit(folder: Path, version: int) -> None:
    """Sync a commit's files, then the commit; one that was cleaned away meanwhile is safe by a checkpoint."""
    commit = folder / "_delta_log" / f"{version:020}.json"
    if not commit.exists():
        return
    actions = [json.loads(line) for line in commit.read_bytes().splitlines()]
    added = [folder / action["add"]["path"] for action in actions if "add" in action]
    for path in (*(path for path in added if path.exists()), commit):
        with opened(path, os.O_RDONLY) as fd:
            os.fsync(fd)
    for parent in {path.parent for path in added if path.parent.exists()}:
        sync_folder(parent)
