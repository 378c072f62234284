"""`superhero verify`: rows read per second, and the memory it takes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figures, Table, Target
from benchmarks.stage import Stage
from benchmarks.suites.to_disk import program

_LINE = (
    '{"record_id":"%s:%d","channel":"bench.orders","time":"2026-01-31T12:00:00.000000Z","level":"INFO",'
    '"logger":"bench.orders","event":"order.paid","message":"order %d of customer c-0042317 is paid",'
    '"payload":{"order":%d,"customer":"c-0042317","amount_cents":4200,"currency":"EUR","items":3,'
    '"shop":"harbour-12"}}\n'
)
_PRODUCERS = 4


def run(stage: Stage) -> Figures:
    """Write a sink as workers would, and verify it in a process of its own."""
    rows = stage.amount(2_000_000, 20_000)
    folder = stage.fresh_folder("verify")
    _write(folder / "superhero" / "RECORDS", rows)
    said = stage.run("verify", program("verify_folder", str(folder)))
    rate, memory_mb = rows / said["seconds"], said["grown_bytes"] / 1e6
    return Figures(
        tables=[
            Table(
                "verify",
                "superhero verify",
                ("rows", "rows/s", "memory beyond start, MB", "clean"),
                [[rows, rate, memory_mb, "yes" if said["clean"] else "no"]],
            )
        ],
        targets=[Target("verify", "1,000,000 rows/s", f"{rate:,.0f} rows/s", rate >= 1_000_000)],
    )


def _write(folder: Path, rows: int) -> None:
    folder.mkdir(parents=True)
    for number in range(_PRODUCERS):
        producer = f"bench-{number}"
        with (folder / f"{producer}.jsonl").open("w") as file:
            file.writelines(_LINE % (producer, at, at, at) for at in range(rows // _PRODUCERS))
