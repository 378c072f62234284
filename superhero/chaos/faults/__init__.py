"""The faults, each by name; a module per kind of part that they break."""

from __future__ import annotations

from collections.abc import Mapping

from superhero.chaos.faults import broker, disk, kill, message, network, producer, server, sql, state
from superhero.chaos.faults.fault import Fault

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for module in (kill, producer, broker, state, network, disk, sql, message, server)
    for fault in module.FAULTS
}
