"""docs/checks.md has a section for every code that the source can report, and for no other."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def test_codes_and_sections_are_the_same() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "modelbuild").rglob("*.py"))
    codes = sorted(set(re.findall(r"\bMB\d{3}\b", source)))
    page = (REPOSITORY / "docs/checks.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (MB\d{3}): ", page, re.M) == codes


def test_every_section_says_how_grave_it_is_and_what_to_do() -> None:
    page = (REPOSITORY / "docs/checks.md").read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        assert re.search(r"^\*(Error|Warning)", section, re.M), section
        assert re.search(r"^\*Do:\* ", section, re.M), section
