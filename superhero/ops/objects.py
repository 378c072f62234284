"""Where a JSON Lines dataset's rows are: in a file per object or producer, and in compacted segments.

    <DATASET>/<key>.jsonl                     an object, or a producer's stream, as the sink wrote it
    <DATASET>/_compacted/manifest.json        which segments count, see superhero/ops/compaction.py
    <DATASET>/_compacted/<segment>.jsonl      many objects' rows, one object after the other
    <DATASET>/_compacted/<segment>.keys       a line per object: its key, and where in the segment it stands

An object that is in a segment of the manifest counts there; a file of its own beside it, which a redelivery
may write again, does not. The files are listed before the manifest is read, so that an object that moves
meanwhile is seen once: there is no moment at which it is in neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from superhero.errors import StoreError

FOLDER = "_compacted"
MANIFEST = "manifest.json"
VERSION = 1

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of many objects; `sha256` is of its bytes."""

    name: str
    objects: int
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object's rows stand in a segment's file."""

    path: Path
    start: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A dataset's files at a moment. Of the sink's own, `moved` do not count: they are in segments, too."""

    files: Sequence[Path]
    moved: Sequence[Path] = ()
    segments: Sequence[Path] = ()
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """Return every file that holds rows, each row once."""
        return [*self.segments, *self.files]

    @property
    def some(self) -> bool:
        """Whether there is any file."""
        return bool(self.files or self.segments)


def layout_of(folder: Path, dataset: str) -> Layout:
    """Return a dataset's files, by name; none where there is none. Raise StoreError for a bad manifest."""
    root = folder / "superhero" / dataset
    for further_tries in reversed(range(_TRIES)):
        own, segments = sorted(root.glob("*.jsonl")), read_manifest(root)
        try:
            places = dict(
                pair for segment in segments for pair in read_keys(root / FOLDER, segment.name).items()
            )
            break
        except FileNotFoundError as error:
            # Swept away between the look at the manifest and here, which a new manifest came before.
            if not further_tries:
                raise StoreError(f"{error.filename} is in the manifest and not there") from error
    return Layout(
        files=[path for path in own if path.stem not in places],
        moved=[path for path in own if path.stem in places],
        segments=[root / FOLDER / f"{segment.name}.jsonl" for segment in segments],
        places=places,
    )


class Objects:
    """A dataset's objects by their keys."""

    def __init__(self, folder: Path, dataset: str) -> None:
        self._root = folder / "superhero" / dataset
        self._layout = layout_of(folder, dataset)

    def keys(self) -> set[str]:
        """Return the key of every object, as of when this was made."""
        return {path.stem for path in self._layout.files} | self._layout.places.keys()

    def read(self, key: str) -> bytes:
        """Return an object's lines. Raise FileNotFoundError for one that is not there."""
        place = self._layout.places.get(key)
        if place is None:
            return (self._root / f"{key}.jsonl").read_bytes()
        with place.path.open("rb") as file:
            file.seek(place.start)
            return file.read(place.size_bytes)


def damaged(folder: Path, dataset: str) -> list[Path]:
    """Return the segments that are not, byte for byte, what was committed; reads them whole."""
    root = folder / "superhero" / dataset
    return [
        path
        for segment in read_manifest(root)
        if _digest(path := root / FOLDER / f"{segment.name}.jsonl") != segment.sha256
    ]


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def read_manifest(root: Path) -> list[Segment]:
    """Return the segments that count; none where nothing was compacted. Raise StoreError if it is damaged."""
    path = root / FOLDER / MANIFEST
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["version"] != VERSION:
            raise StoreError(
                f"{path} is of version {told['version']!r:.20}, and this program reads {VERSION}"
            )
        return [Segment(**each) for each in told["segments"]]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} is damaged: {error!r:.200}") from error


def read_keys(folder: Path, segment: str) -> dict[str, Place]:
    """Return where each object of a segment stands. Raise FileNotFoundError, or StoreError for damage."""
    path, rows = folder / f"{segment}.keys", folder / f"{segment}.jsonl"
    places = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            key, start, size = line.split(" ")
            places[key] = Place(rows, int(start), int(size))
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    return places
