"""What figures were measured on: without it no figure means anything."""

from __future__ import annotations

import os
import platform


def machine() -> dict[str, object]:
    """Return it, JSON-ready; `load_before` is how many processes wanted to run just before."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def sentence(of: dict[str, object]) -> str:
    """Return the same as a sentence."""
    return (
        f"Measured on {of['cores']} cores, {of['system']}, Python {of['python']}, "
        f"with a load of {of['load_before']} before the run."
    )
