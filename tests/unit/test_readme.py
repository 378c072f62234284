"""The README says what is so: every setting, every command, every link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from superhero import config
from superhero.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def _of_celeryconfig() -> set[str]:
    source = (ROOT / "celeryconfig.py").read_text(encoding="utf-8")
    return set(re.findall(r"^\| ([A-Z_]+) \|", source, re.MULTILINE))


def test_the_settings_table_has_every_variable_and_no_other() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    told = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"[A-Z_]+", row)
    }
    assert told == {variable for variable, _ in config._VARIABLES.values()} | _of_celeryconfig()


def test_every_command_is_told_of_somewhere() -> None:
    everything = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in COMMANDS if f"superhero {name}" not in everything] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_nothing_waits_to_be_filled_in(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert re.findall(r"@[A-Z]+@", text) == []
