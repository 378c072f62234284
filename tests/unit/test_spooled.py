"""What a spool still holds is read without touching it, and a spool that may not be read is no empty one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from superhero.errors import ServiceError
from superhero.ops.spooled import spooled_ids
from superhero.transport.envelope import with_id
from superhero.transport.segment import Segment


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    """Give the test a spool of two processes with a record each, and what else may lie about there."""
    for number, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        segment = Segment(tmp_path / name / "00000000.log", 0, new=True)
        segment.limit = 1 << 20
        segment.append(with_id(f"p:{number}", b'{"channel":"shop"}'))
        segment.close()
    (tmp_path / "one" / "lock").touch()
    (tmp_path / "lock").touch()
    return tmp_path


def test_the_records_of_every_process_are_found(spool_dir: Path) -> None:
    assert list(spooled_ids(spool_dir)) == ["p:0", "p:1"]


def test_where_there_is_no_spool_there_is_nothing_in_it(tmp_path: Path) -> None:
    assert list(spooled_ids(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("closed", [".", "one"])
def test_a_spool_that_may_not_be_read_is_an_error(
    spool_dir: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir

    def refused(path: Path) -> Any:  # by the system, but not to root
        if path == spool_dir / closed:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ServiceError, match="Permission denied; verify as its owner"):
        list(spooled_ids(spool_dir))
