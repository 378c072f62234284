"""Find out from SINKS what can be read: the first sink of a kind that we know how to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from superhero.errors import SettingsError
from superhero.ops.objects import FOLDER, MANIFEST
from superhero.sink_urls import BETWEEN_URLS, schemes

READABLE = ("json", "parquet", "delta")


@dataclass(frozen=True, slots=True)
class Source:
    """A sink's folder and its kind, one of READABLE."""

    kind: str
    folder: Path

    @property
    def root(self) -> Path:
        """The folder that holds the datasets."""
        return self.folder / ("superhero_delta" if self.kind == "delta" else "superhero")

    def datasets(self) -> list[str]:
        """Return the names of the datasets that are there."""
        prefix = "dataset=" if self.kind == "parquet" else ""
        if not self.root.is_dir():
            return []
        return sorted(
            path.name.removeprefix(prefix)
            for path in self.root.iterdir()
            if path.is_dir() and path.name.startswith(prefix) and not path.name.startswith(".")
        )

    def has(self, dataset: str) -> bool:
        """Tell whether there is a file of a dataset; not whether anything is in it."""
        if self.kind == "json":
            root = self.root / dataset
            return any(root.glob("*.jsonl")) or (root / FOLDER / MANIFEST).exists()
        folder = f"dataset={dataset}" if self.kind == "parquet" else dataset
        return any((self.root / folder).rglob("*.parquet"))


def source_of(sinks: str) -> Source:
    """Return the first sink among those URLs that can be read here. Raise SettingsError if none can."""
    for url in BETWEEN_URLS.split(sinks.strip()):
        kind, _, rest = url.partition(":")
        path = rest.removeprefix("//")
        if kind in READABLE and path and "://" not in rest and (path == rest or path.startswith("/")):
            return Source(kind, Path(path))
    # The URL is not shown: that of a database may hold a password.
    known = ", ".join(f"{kind}:" for kind in READABLE)
    raise SettingsError(
        f"only folders can be read, not {schemes(sinks)}: write {known} and a path, like json:///data; "
        "a database answers its own clients, a bucket any that reads Parquet or Delta Lake"
    )
