"""Say in a sentence each what is wrong with a pipeline, from its vitals, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from superhero.plural import counted

OLD_S = 60.0
"""Seconds after which a record that a producer still holds is worth a word."""


class Weight(Enum):
    """How bad it is: a promise is broken, somebody must do something, or it is only worth knowing."""

    BROKEN = "broken"
    TROUBLE = "trouble"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, and what to do."""

    weight: Weight
    text: str


def assess(vitals: Mapping[str, Any]) -> list[Finding]:
    """Return what is wrong; nothing when all is well."""
    records, broker = vitals["records"], vitals["broker"]
    idle = unconsumed(vitals)
    spool, quarantine = vitals["spool"], vitals["quarantine"]
    lost, twice = records["lost"], records["duplicated"]
    said = [
        (
            Weight.BROKEN,
            lost,
            f"{counted(lost, 'record')} {'is' if lost == 1 else 'are'} lost: superhero verify",
        ),
        (
            Weight.BROKEN,
            twice,
            f"{counted(twice, 'row')} {'stands' if twice == 1 else 'stand'} twice: superhero verify",
        ),
        (Weight.TROUBLE, not broker["reachable"], "the broker does not answer: superhero doctor"),
        (Weight.TROUBLE, broker["blocked"], "the broker takes nothing: its memory or disk is full"),
        (
            Weight.TROUBLE,
            idle,
            f"messages wait and nobody consumes {', '.join(idle)}: start workers, or name it in CHANNELS",
        ),
        (
            Weight.TROUBLE,
            spool["oldest_s"] > OLD_S,
            f"producers hold {counted(spool['records'], 'record')}, for up to {spool['oldest_s']:.0f} s",
        ),
        (
            Weight.TROUBLE,
            quarantine,
            f"{counted(quarantine, 'message')} in quarantine: superhero quarantine list",
        ),
        (
            Weight.NOTE,
            broker["reachable"] and not vitals["workers"],
            "no worker has a pulse: celery -A tasks worker",
        ),
    ]
    return [Finding(weight, text) for weight, wrong, text in said if wrong]


def unconsumed(vitals: Mapping[str, Any]) -> list[str]:
    """Return the channels in whose queues messages wait and that nobody consumes."""
    return [queue["channel"] for queue in vitals["queues"] if queue["depth"] and not queue["consumers"]]


def has_failed(vitals: Mapping[str, Any]) -> bool:
    """Tell whether a promise is broken, nobody can tell as the broker is away, or messages wait for nobody.

    That no worker is there is no failure where nothing waits for one.
    """
    broken = any(finding.weight is Weight.BROKEN for finding in assess(vitals))
    return broken or not vitals["broker"]["reachable"] or bool(unconsumed(vitals))
