"""The audit of dependencies: fails for a weakness, passes with a word where the service does not answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

AUDIT = Path(__file__).resolve().parents[2] / ".ci/audit"

# What pip-audit does, each in the shape that the real one has.
WRITES_REPORT = 'while [ "$1" != --output ]; do shift; done; echo \'{"dependencies": []}\' > "$2"'


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        (f"{WRITES_REPORT}; exit 0", 0, "no known weakness"),
        (f"{WRITES_REPORT}; exit 1", 1, "known weaknesses"),
        ("echo requests.exceptions.ConnectionError: no route >&2; exit 1", 0, "the audit is skipped"),
        ("echo ERROR:pip_audit._cli: Could not connect to the feed >&2; exit 1", 0, "the audit is skipped"),
        ("echo TypeError: a bug >&2; exit 1", 1, "TypeError: a bug"),
    ],
)
def test_the_audit_tells_weaknesses_from_a_service_that_is_away(
    tmp_path: Path, script: str, status: int, said: str
) -> None:
    pip_audit = tmp_path / "pip-audit"
    pip_audit.write_text(f"#!/bin/sh\n{script}\n")
    pip_audit.chmod(0o700)
    done = subprocess.run([str(AUDIT), str(pip_audit)], capture_output=True, text=True, timeout=30)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
