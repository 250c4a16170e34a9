"""The table of passes, and the page that lists them."""

from __future__ import annotations

import re
from pathlib import Path

from modelbuild.graph import passes

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_lists_the_passes_in_order() -> None:
    text = (ROOT / "docs/passes.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(passes.PASSES)


def test_every_pass_is_named_as_its_module_and_says_why_it_is_legal() -> None:
    for name, module in passes.PASSES.items():
        assert module.__name__ == f"modelbuild.graph.passes.{name}"
        assert "Why:" in (module.__doc__ or "") and "Legal:" in (module.__doc__ or ""), name
