"""docs/data.md says what the schemas say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sinks.schemas import schemas
from superhero.headless import play
from superhero.ops.outlets import envelope
from superhero.roster import shipped
from tasks.registry import REGISTRY, discover

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "data.md"


def test_the_document_is_what_the_schemas_print() -> None:
    argv = [sys.executable, "-m", "sinks.schemas"]
    printed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert DOCUMENT.read_text(encoding="utf-8") == printed, "python -m sinks.schemas > docs/data.md"


def test_every_dataset_that_a_pipeline_writes_has_a_schema_and_is_in_the_document() -> None:
    discover()
    envelopes = [envelope(record) for record in play(7, 1, shipped())]
    of_each = [write for each in envelopes for write in REGISTRY.writes(each)]
    written = {write.dataset for write in [*of_each, *REGISTRY.writes_of_all(envelopes)]}
    assert written == {each.dataset for each in schemas()}
    assert all(f"### {dataset}" in DOCUMENT.read_text(encoding="utf-8") for dataset in written)
