"""Parquet: files that grow to a fixed size, partitioned by dataset and date, for any reader that can glob.

    <root>/superhero/dataset=<DATASET>/date=<YYYY-MM-DD>/<producer>.<block>.parquet    Append
    <root>/superhero/dataset=<DATASET>/date=<YYYY-MM-DD>/<bucket>.parquet              Put

Where a row stands follows from the row alone: a record's file from its producer, its sequence (blocks of
BLOCK_ROWS) and the date in its `time`; an object's from its time and a hash of its key. So a redelivered
row, in whatever batch, comes to the one file that may hold it, and that file is the ledger: it is read, what
is missing is added, and the whole is put back, atomically and only if nobody else did meanwhile (see
sinks/places.py). There is no log or manifest beside the files, no row is ever visible twice, not even for a
moment, and small files need no compaction, for they grow. The price is that a file is written anew with every
batch that adds to it; large batches are cheap, and a full block is never touched again.

A row without a time stands under `date=none`. Rows that stand there are left as they are. Columns come from
sinks/schemas.py; a file of an older schema gains the new columns with the next batch, one of a newer keeps
the columns that this version does not know.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.base import Put, Sink, Write
from sinks.errors import TransientSinkError
from sinks.places import Found, Places, Replacement, Tag
from sinks.rows import Cells, Fitting, date_of
from sinks.schemas import EXTRA, OBJECT_KEY, OBJECT_ROW, RECORD_ID, Schema, Type, schema_of

BLOCK_ROWS = 10_000
"""How many sequences of a producer share a file, at most; also the size of a row group."""

BUCKETS = 16
"""How many files the objects of a dataset and date are spread over."""

TRIES = 50
"""How often a batch is tried again at once because other writers came first; only a bucket knows that."""

CACHED_BYTES = 64 << 20
"""How much of what was read or written last a process keeps, in bytes of memory."""

NO_DATE = "none"

_TYPES: Mapping[Type, pa.DataType] = {
    Type.NAME: pa.string(),
    Type.TEXT: pa.string(),
    Type.UINT8: pa.uint8(),
    Type.UINT16: pa.uint16(),
    Type.UINT64: pa.uint64(),
    Type.TIME: pa.timestamp("us", tz="UTC"),
    Type.JSON: pa.string(),
}


@dataclass(frozen=True, slots=True)
class File:
    """A file's rows in memory, and what they are known by. No tag and no table: there is no file yet."""

    tag: Tag | None
    table: pa.Table | None
    identities: frozenset[str]

    @property
    def size_bytes(self) -> int:
        """How much memory it takes, about."""
        return 0 if self.table is None else int(self.table.nbytes) + 100 * len(self.identities)


@dataclass(frozen=True, slots=True)
class Addition:
    """Rows of a batch that belong into one file, by what they are known by there."""

    schema: Schema
    rows: dict[str, list[Cells]] = field(default_factory=dict)

    def merged_into(self, file: File) -> File:
        """Return the file with the rows that it does not have yet; the same file if it has them all."""
        missing = [identity for identity in self.rows if identity not in file.identities]
        if not missing:
            return file
        columns = _arrow_schema(self.schema, None if file.table is None else file.table.schema)
        table = pa.Table.from_pylist(
            [cells for identity in missing for cells in self.rows[identity]], columns
        )
        if file.table is not None:
            table = pa.concat_tables([_aligned(file.table, columns), table]).combine_chunks()
        return File(file.tag, table, file.identities.union(missing))


class ParquetSink(Sink):
    """Writes under `superhero` of its places. Any number of processes; one thread per object."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._known: OrderedDict[str, File] = OrderedDict()
        self._size_bytes = 0
        self._fittings: dict[Schema, Fitting] = {}

    def write(self, writes: Sequence[Write]) -> None:
        """Make every write of the batch safe, all rows of a file in one go.

        Raise TransientSinkError when the place refused, a file there is damaged, or others kept coming first;
        TerminalSinkError when a row is not JSON, and then nothing was written.
        """
        pending = self._additions(writes)
        with self._places.exclusive(pending):
            for _ in range(TRIES):
                if not pending:
                    return
                pending = self._try(pending)
        if pending:
            raise TransientSinkError(f"other writers came first {TRIES} times at {next(iter(pending))}")

    def close(self) -> None:
        """Forget what was read; no file is kept open between writes."""
        self._known.clear()
        self._size_bytes = 0

    def _additions(self, writes: Sequence[Write]) -> dict[str, Addition]:
        """Return what belongs into each file."""
        additions: dict[str, Addition] = {}
        for write in writes:
            schema = schema_of(write)
            fitting = self._fittings.setdefault(schema, Fitting(schema))
            for path, identity, cells in _placed(write, fitting):
                addition = additions.setdefault(path, Addition(schema))
                addition.rows.setdefault(identity, cells)
        return additions

    def _try(self, pending: Mapping[str, Addition]) -> dict[str, Addition]:
        """Add what is missing in each file; return what must be tried again, as others came first."""
        before = self._read(pending)
        changed = {}
        for path, addition in pending.items():
            after = addition.merged_into(before[path])
            if after is not before[path]:
                changed[path] = after
        tags = self._places.replace(
            [Replacement(path, _encoded(file), before[path].tag) for path, file in changed.items()]
        )
        self._places.secure(pending.keys() - changed.keys())
        for path in pending:
            if path in tags:
                self._keep(path, replace(changed[path], tag=tags[path]))
            elif path not in changed:
                self._keep(path, before[path])
        return {path: pending[path] for path in changed.keys() - tags.keys()}

    def _read(self, pending: Mapping[str, Addition]) -> dict[str, File]:
        """Return what stands in each file; one without rows where there is none."""
        known = {path: self._known.pop(path, None) for path in pending}
        found = self._places.read([(path, file.tag if file else None) for path, file in known.items()])
        files = {}
        for (path, file), each in zip(known.items(), found, strict=True):
            if each is None:
                files[path] = File(None, None, frozenset())
            elif file is None or each.content is not None:
                files[path] = _decoded(path, each, pending[path].schema)
            else:
                files[path] = file
        return files

    def _keep(self, path: str, file: File) -> None:
        self._known[path] = file
        self._size_bytes = sum(each.size_bytes for each in self._known.values())
        while self._size_bytes > CACHED_BYTES:
            _, forgotten = self._known.popitem(last=False)
            self._size_bytes -= forgotten.size_bytes


def _placed(write: Write, fitting: Fitting) -> Iterator[tuple[str, str, list[Cells]]]:
    """Yield for each record, or for the object: its file's path, what it is known by there, its rows."""
    if isinstance(write, Put):
        rows = [
            fitting.cells(row, {OBJECT_KEY: write.key, OBJECT_ROW: place})
            for place, row in enumerate(write.rows)
        ]
        if rows:
            bucket = sha256(write.key.encode()).digest()[0] % BUCKETS
            yield _path(write.dataset, write.time, f"{bucket:02}"), write.key, rows
        return
    for row, (producer, sequence) in zip(write.rows, write.ids, strict=True):
        record_id = row[RECORD_ID]
        path = _path(write.dataset, row.get("time"), f"{producer}.{sequence // BLOCK_ROWS}")
        yield path, record_id, [fitting.cells(row, {RECORD_ID: record_id})]


def _path(dataset: str, time: object, name: str) -> str:
    return f"dataset={dataset}/date={date_of(time) or NO_DATE}/{name}.parquet"


def _arrow_schema(schema: Schema, present: pa.Schema | None) -> pa.Schema:
    """Return the columns of a file: ours, and those of a newer version that stand in it already."""
    fields = [pa.field(column.name, _TYPES[column.type]) for column in schema.columns]
    fields.append(pa.field(EXTRA, pa.string()))
    ours = {field.name for field in fields}
    fields += [field for field in present or () if field.name not in ours]
    return pa.schema(fields, {"superhero.dataset": schema.dataset, "superhero.schema": str(schema.version)})


def _aligned(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with these columns, null where it has none."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _decoded(path: str, found: Found, schema: Schema) -> File:
    try:
        table = pq.ParquetFile(pa.BufferReader(found.content)).read()
        identities = frozenset(table[schema.shape.value[0]].to_pylist())
    except (pa.ArrowException, OSError, KeyError) as error:
        raise TransientSinkError(
            f"{path} is damaged, and nothing can be added to it; move it away: {error}"
        ) from error
    return File(found.tag, table, identities)


def _encoded(file: File) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(file.table, out, compression="zstd", row_group_size=BLOCK_ROWS)
    content: bytes = out.getvalue().to_pybytes()
    return content
