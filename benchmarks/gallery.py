"""`make trials`: run the trials, the brokers and the faults, and show it all in docs/trials.md.

The document is written anew, every figure in it measured by the commands that it names. Each of them leaves
its results in a folder of --out; with --keep what is there already is taken as it is.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import Table
from benchmarks.report import markdown
from superhero.ops.processes import superhero_argv
from superhero.reports.machine import sentence
from superhero.reports.plot import Plot
from superhero.reports.svg import svg

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_TRIALS = ("experiment", "all", "--players", "20", "--games", "40")
_BROKERS = ("experiment", "brokers")
_SHOWN = ("depth", "rates", "shares")

Facts = Mapping[str, Any]


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/trials/gallery"),
    show_default=True,
    help="Folder for reports, data and logs.",
)
@click.option("--keep", is_flag=True, help="Run only what has left no result in the folder yet.")
@click.option("--faults", default="all", show_default=True, help="Faults to throw, with blanks between.")
@click.option("--chaos", type=click.Path(path_type=Path, exists=True), help="Take this `chaos all --json`.")
@click.option("--note", default="", help="A sentence on the circumstances, to stand in the document.")
@click.option("--docs", type=click.Path(path_type=Path), default=_DOCS, help="Where trials.md goes.")
def main(out: Path, keep: bool, faults: str, chaos: Path | None, note: str, docs: Path) -> None:
    """Run everything, draw it and write the document. Exit status 0 when all could be run."""
    for name, command in (("trials", _TRIALS), ("brokers", _BROKERS)):
        if not (keep and (out / name / "report.json").exists()):
            shutil.rmtree(out / name, ignore_errors=True)
            _run(*command, "--folder", str(out / name))
    thrown = ("chaos", *faults.split(), "--records", "200", "--json")
    found = chaos or out / "chaos.json"
    if not found.exists() or (chaos is None and not keep):
        shutil.rmtree(out / "chaos", ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        found.write_text(_run(*thrown, "--folder", str(out / "chaos")), encoding="utf-8")
    trials, brokers = (_facts(out / name / "report.json") for name in ("trials", "brokers"))
    lines = _facts(found)["faults"]
    command = f"chaos {faults} --json" if chaos else " ".join(thrown)
    text = "\n".join([*_document(trials, brokers, note), *_of_faults(lines, command)])
    drawn = {path.name: path.read_text(encoding="utf-8") for path in out.glob("*/plots/*.svg")}
    drawn |= {f"{plot.name}.svg": svg(plot, alone=True) for plot in _fault_plots(lines)}
    pictures = docs / "trials"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    for name in re.findall(r"\(trials/([^)]+)\)", text):
        (pictures / name).write_text(drawn[name], encoding="utf-8")
    (docs / "trials.md").write_text(f"{text}\n", encoding="utf-8")
    click.echo(f"{docs / 'trials.md'}, with {len(list(pictures.iterdir()))} pictures")


def _run(*arguments: str) -> str:
    """Run a command of ours, showing its progress, and return what it printed. Status 1 is a verdict."""
    click.echo(f"superhero {' '.join(arguments)}", err=True)
    done = subprocess.run(superhero_argv(*arguments), stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise click.ClickException(f"superhero {arguments[0]} ended with status {done.returncode}")
    return done.stdout


def _facts(path: Path) -> Facts:
    facts: Facts = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _document(trials: Facts, brokers: Facts, note: str) -> Iterator[str]:
    yield "# Trials\n"
    yield "Written by `make trials`, which measures every figure in it: the published trials, brokers side by"
    yield f"side, and faults of `superhero chaos`, each once. {note}".rstrip() + "\n"
    yield from _of_trials(trials)
    yield from _of_brokers(brokers)


def _of_trials(facts: Facts) -> Iterator[str]:
    yield "## The published trials\n"
    yield f"`{facts['command']}`. {sentence(facts['machine'])}\n"
    columns = ("", *(outcome["trial"] for outcome in facts["outcomes"]))
    rows = [
        [name, *(str(outcome["tally"][key]) for outcome in facts["outcomes"])]
        for name, key in (
            ("games completed", "games_completed"),
            ("games lost", "games_lost"),
            ("games doubled", "games_duplicated"),
            ("records logged", "records_emitted"),
            ("records lost", "records_lost"),
            ("records doubled", "records_duplicated"),
        )
    ]
    rows.append(["in quarantine", *(str(outcome["dead_letters"]) for outcome in facts["outcomes"])])
    yield markdown(Table("trials", "", columns, rows)) + "\n"
    for name in ("killed-back", "none-before", "many-workers"):
        yield "\n".join(f"![{name}, {each}](trials/{name}-{each}.svg)" for each in _SHOWN) + "\n"


def _of_brokers(facts: Facts) -> Iterator[str]:
    yield "## Brokers side by side\n"
    yield f"`{facts['command']}`. {sentence(facts['machine'])}"
    yield "Rate, processor time and memory (producer, workers and middleman, not the broker's own) are of one"
    yield "worker given everything at once; latency is of several at a steady rate, until the line is seen in"
    yield "its file. In each trial: records lost / rows doubled. Ours alone syncs its rows to the disk.\n"
    trials = [trial["name"] for trial in facts["trials"]]
    columns = ("broker", "records/s", "p50 ms", "p99 ms", "CPU s", "peak MB", *trials)
    ran = [broker for broker in facts["brokers"] if broker["came"]]
    yield markdown(Table("brokers", "", columns, [_broker_row(broker) for broker in ran])) + "\n"
    shown = ("brokers-rate", "brokers-latency", "brokers-lost")
    yield "\n".join(f"![{name}](trials/{name}.svg)" for name in shown) + "\n"
    yield "Sent and written while all workers are killed and come back:\n"
    yield "\n".join(f"![{each['title']}](trials/brokers-killed-{each['name']}.svg)" for each in ran) + "\n"
    for trial in facts["trials"]:
        yield f"- **{trial['name']}**: {trial['told']}."
    yield ""
    for broker in facts["brokers"]:
        said = f"skipped: {broker['skipped']}." if broker["skipped"] else broker["settings"]
        yield f"- **{broker['title']}**: {said}"
    yield ""


def _broker_row(broker: Facts) -> list[Any]:
    first, second = broker["came"][0], broker["came"][1]
    memory = first["memory_bytes"]
    figures = [first["rate"], second["p50_ms"], second["p99_ms"], first["cpu_s"], memory and memory / 1e6]
    return [broker["title"], *figures, *(f"{came['lost']} / {came['duplicated']}" for came in broker["came"])]


def _of_faults(faults: Sequence[Facts], command: str) -> Iterator[str]:
    yield "## Faults, each once\n"
    yield f"`superhero {command}`: what each fault cost, and the seconds from its end until records"
    yield "flowed on every channel again. Plain Celery, with its defaults, gets the same.\n"
    columns = ("fault", "records", "kills", "lost", "doubled", "back in s")
    plain = ("Celery: lost", "doubled", "back in s")
    rows = [
        [
            *(fault["name"], fault["records"], fault["kills"], fault["lost"], fault["duplicated"]),
            fault["recovered_s"],
            *_plain_cells(fault),
        ]
        for fault in faults
    ]
    yield markdown(Table("chaos", "", (*columns, *plain), rows)) + "\n"
    yield "![back](trials/chaos-recovered.svg)\n![lost](trials/chaos-plain-lost.svg)"


def _plain_cells(fault: Facts) -> list[Any]:
    plain = fault["plain"]
    return [plain["lost"], plain["duplicated"], fault["plain_recovered_s"]] if plain else [None, None, None]


def _fault_plots(faults: Sequence[Facts]) -> Iterator[Plot]:
    back = {each["name"]: each["recovered_s"] for each in faults if each["recovered_s"] is not None}
    title = "superhero: seconds until records flowed again"
    yield Plot("chaos-recovered", title, "bars", "s", back)
    lost = {each["name"]: float(each["plain"]["lost"]) for each in faults if each["plain"]}
    yield Plot(
        "chaos-plain-lost", "Plain Celery: records lost (superhero: see the table)", "bars", "records", lost
    )


if __name__ == "__main__":
    main()
