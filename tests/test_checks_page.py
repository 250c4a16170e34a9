"""docs/checks.md has a section for every code that can be reported, and for no other; each says what, how
grave, an example, what to do, and how to ignore it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelbuild.graph.codes import CODES

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs/checks.md").read_text(encoding="utf-8")
SECTIONS = {section[:5]: section for section in PAGE.split("\n## ") if re.match(r"MB\d{3}: ", section)}
GRAVEST = {"error": "Error", "warning": "Warning", "note": "Note"}


def test_codes_in_the_source_are_those_of_the_table() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "modelbuild").rglob("*.py"))
    assert sorted(set(re.findall(r"\bMB\d{3}\b", source))) == list(CODES)


def test_sections_are_the_codes_in_order_with_their_titles() -> None:
    headings = re.findall(r"^## (MB\d{3}): (.*)$", PAGE, re.M)
    assert headings == [(name, code.title) for name, code in CODES.items()]


@pytest.mark.parametrize("code", CODES)
def test_a_section_says_what_its_reader_needs(code: str) -> None:
    section = SECTIONS[code]
    assert re.search(rf"^\*{GRAVEST[CODES[code].severity]}\b", section, re.M)
    for word in ("Example", "Do", "Ignore"):
        assert re.search(rf"^\*{word}:\* ", section, re.M), word
    assert ("*Ignore:* not possible" in section) == CODES[code].stops
