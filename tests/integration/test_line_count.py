"""Lines of files that grow, counted without reading them again."""

from __future__ import annotations

from pathlib import Path

from superhero.ops.line_count import LineCount


def test_lines_are_counted_as_they_come_and_a_torn_one_when_it_is_whole(tmp_path: Path) -> None:
    lines = LineCount(tmp_path / "later")
    assert lines.look() == 0
    (tmp_path / "later").mkdir()
    growing, other = tmp_path / "later" / "a.jsonl", tmp_path / "later" / "b.jsonl"
    growing.write_text("1\n2\nto")
    assert lines.look() == 2
    with growing.open("a") as file:
        file.write("rn\n")
    other.write_text("1\n")
    assert lines.look() == 4


def test_a_file_that_became_shorter_is_counted_anew(tmp_path: Path) -> None:
    lines, path = LineCount(tmp_path), tmp_path / "a.jsonl"
    path.write_text("1\n2\n3\n")
    assert lines.look() == 3
    path.write_text("1\n")
    assert lines.look() == 1
