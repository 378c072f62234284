"""`superhero simulate`: records generated, and records into the transport."""

from __future__ import annotations

import sys

from benchmarks.figures import Figures, Spread, Table, Target
from benchmarks.stage import Stage
from benchmarks.suites.to_disk import program

REPETITIONS = 3


def run(stage: Stage) -> Figures:
    """Play games alone, and run the command with each outlet, in turns."""
    played, written, sent = Spread(), Spread(), Spread()
    many, some = str(stage.amount(30_000, 200)), str(stage.amount(10_000, 200))
    for repetition in range(stage.amount(REPETITIONS, 1)):
        command = [sys.executable, "-m", "superhero", "simulate", "--seed", str(repetition), "--json"]
        for rates, argv in (
            (played, program("generate", many)),
            (written, [*command, "--games", some, "--to", "/dev/null"]),
            (sent, [*command, "--games", some]),
        ):
            rates.values.append(stage.run("simulate", argv)["records_per_second"])
    return Figures(
        tables=[
            Table(
                "simulate",
                "superhero simulate, records/s",
                ("", "records/s", "least", "most"),
                [
                    ["generated", *_shown(played)],
                    ["generated, written as JSON lines to /dev/null", *_shown(written)],
                    ["generated, logged and confirmed by the broker", *_shown(sent)],
                ],
            )
        ],
        targets=[
            Target("simulate, generated", "200,000/s", f"{played.middle:,.0f}/s", played.middle >= 2e5),
            Target("simulate, into the transport", "50,000/s", f"{sent.middle:,.0f}/s", sent.middle >= 5e4),
        ],
    )


def _shown(rates: Spread) -> tuple[float, float, float]:
    return rates.middle, rates.least, rates.most
