"""A run of the generator, written to a sink as the workers write it, with its answer key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from sinks import open_sink
from superhero.cli import main
from tasks.batches import sort_out, writes_of
from tasks.registry import REGISTRY, discover

FAULTS = (
    *("--late", 0.05, "--out-of-order", 0.1, "--duplicated", 0.1),
    *("--malformed", 0.05, "--schema-changed", 0.1, "--skewed-clock", 0.05),
)
BATCH = 100
NOWHERE = "amqp://127.0.0.1:1//"


def superhero(*arguments: object, **environ: str) -> Result:
    """Run a command of superhero's, without a broker unless one is given."""
    env = {"COLUMNS": "200", "BROKER_URL": NOWHERE, **environ}
    return CliRunner().invoke(main, list(map(str, arguments)), env=env)


def simulated(folder: Path, *options: object) -> tuple[Path, dict[str, Any]]:
    """Return the file of a run's records and its answer key; `expected.json` beside it."""
    records, key = folder / "records.jsonl", folder / "expected.json"
    done = superhero("simulate", "--seed", 7, *options, "--to", records, "--answer-key", key)
    assert done.exit_code == 0, done.output
    return records, json.loads(key.read_text())


def ingest(records: Path, url: str) -> list[str]:
    """Write a run as the workers do, batch by batch; return the ids of what goes to quarantine."""
    discover()
    refused = set()
    with records.open(encoding="utf-8") as lines, open_sink(url) as sink:
        for envelopes in _batches(map(json.loads, lines)):
            batch = sort_out(REGISTRY, envelopes)
            sink.write(writes_of(REGISTRY, batch.good))
            refused |= {bad.raw["id"] for bad in batch.bad if isinstance(bad.raw, dict)}
    return sorted(refused)


def _batches(envelopes: Iterable[object]) -> Iterator[list[object]]:
    envelopes = iter(envelopes)
    while batch := list(islice(envelopes, BATCH)):
        yield batch
