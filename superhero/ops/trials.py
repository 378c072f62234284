"""The three published trials, each with real processes on a broker that knows nothing yet.

| trial | what happens |
| --- | --- |
| single-worker | one worker ingests while bots play |
| many-workers | several workers share what bots play; none may write a game twice |
| dead-workers | all workers are killed (-9) while bots play, back later; and again where none ever lived |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.ops.depths import dead_letters
from superhero.ops.processes import Process
from superhero.ops.run import PipelineRun, Played, played
from superhero.ops.services import Services, open_services
from superhero.ops.tally import Tally, tally
from superhero.ops.timeline import Seen, Timeline
from superhero.ops.waiting import wait_until

_PLAY_TIMEOUT_S = 3600.0
_DRAIN_TIMEOUT_S = 30.0

Say = Callable[[str], None]
"""Called with what happens next, a few words."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a trial is: bots, games each of them plays, workers (each with one child), and the seed."""

    players: int
    games: int
    workers: int
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial came out.

    seconds       from the first game to the last record written
    workers       how many were started at a time
    seen          the run over time
    dead_letters  messages in quarantine at the end
    notes         which broker and state were used, and what they do not promise
    """

    trial: str
    tally: Tally
    played: Played
    seconds: float
    workers: int
    seen: Seen
    dead_letters: int
    notes: list[str]
    folder: Path

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or put into quarantine."""
        return self.tally.clean and self.dead_letters == 0


@dataclass(frozen=True, slots=True)
class _Trial:
    """A line of the table: when workers start, and whether they are killed while bots play."""

    name: str
    workers_before: bool = True
    workers_killed: bool = False
    workers_after: bool = False


_TRIALS: Mapping[str, tuple[_Trial, ...]] = {
    "single-worker": (_Trial("one worker"),),
    "many-workers": (_Trial("many workers"),),
    "dead-workers": (
        _Trial("killed, back", workers_killed=True, workers_after=True),
        _Trial("none before", workers_before=False, workers_after=True),
    ),
}

NAMES = tuple(_TRIALS)


def runs(name: str) -> int:
    """Return in how many ways a trial is run."""
    return len(_TRIALS[name])


def run_trial(
    name: str, size: Size, settings: Settings, folder: Path, explicit: bool, say: Say
) -> list[Outcome]:
    """Run a trial and return a line per way it was run. Raise ServiceError when something did not start."""
    outcomes = []
    for number, trial in enumerate(_TRIALS[name], start=1):
        place = folder / f"{name}-{number}"
        with open_services(settings, workdir=place / "services", explicit=explicit, fresh=True) as services:
            outcomes.append(_run(trial, size, services, place, settings.rabbitmq_management_url, say))
    return outcomes


def _run(
    trial: _Trial, size: Size, services: Services, folder: Path, management_url: str, say: Say
) -> Outcome:
    with PipelineRun(services, folder) as run:
        say(f"{trial.name}: starting")
        run.start_server()
        timeline = Timeline(run, services.broker_url, management_url)
        if trial.workers_before:
            run.start_workers(size.workers, concurrency=1)
        with timeline:
            began = monotonic()
            report = _play(trial, size, run, timeline, say)
            say(f"{trial.name}: ingesting")
            run.wait_until_written()
            seconds, emitted = monotonic() - began, run.emitted()
            # What was delivered twice must have its chance to be written twice.
            wait_until(lambda: timeline.drained, _DRAIN_TIMEOUT_S)
            run.stop()  # while it is listened to: workers tell the last of what they did
        return Outcome(
            trial=trial.name,
            tally=tally(run.output_dir, report.game_tokens, emitted),
            played=report,
            seconds=round(seconds, 2),
            workers=size.workers,
            seen=timeline.seen(),
            dead_letters=dead_letters(services.broker_url),
            notes=services.notes,
            folder=folder,
        )


def _play(trial: _Trial, size: Size, run: PipelineRun, timeline: Timeline, say: Say) -> Played:
    """Let the bots play, and kill and start workers meanwhile."""
    workers = f"{size.workers} worker{'s' if size.workers > 1 else ''}"
    say(f"{trial.name}: bots fight")
    bots = run.start_bots(size.players, size.games, size.seed)
    if trial.workers_killed:
        _kill_workers_at_work(run, bots)
        timeline.mark(f"{workers} killed")
    report = played(bots, _PLAY_TIMEOUT_S)
    run.wait_until_published()
    timeline.mark("bots done" + (f", {workers} come" if trial.workers_after else ""))
    if trial.workers_after:
        run.start_workers(size.workers, concurrency=1)
    return report


def _kill_workers_at_work(run: PipelineRun, bots: Process) -> None:
    if not wait_until(lambda: run.written() > 0, _DRAIN_TIMEOUT_S, every_s=0.01):
        raise ServiceError(f"no worker wrote anything within {_DRAIN_TIMEOUT_S:g} s; see {run.log_dir}")
    run.kill_workers()
    if not bots.running:
        raise ServiceError("the bots were done before the workers could be killed: take more --games")
