"""Options of compiling that the compiler does not obey yet: refused by name, and named in the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.manifest import canonical_compile
from modelbuild.manifest.merge import Leaf, Tree
from modelbuild.manifest.settings import effective
from tests.manifest.conftest import GOOD

DOCS = Path(__file__).resolve().parents[2] / "docs"
PLANNED: dict[str, Any] = {"tiling": "deep", "dedicated_output_buffer": False, "weight_compress": True}


@pytest.mark.parametrize("key", canonical_compile.NOT_BUILT)
def test_what_the_compiler_does_not_obey_is_refused(project: Any, key: str) -> None:
    value, usual = (str(one).lower() for one in (PLANNED[key], canonical_compile.DEFAULTS[key]))
    written = GOOD.replace("{chip: kl720}", f"{{chip: kl720, compile: {{{key}: {value}}}}}")
    ((_, what),) = project.errors(written)
    assert what == f"`{key}: {value}` is not built yet"
    plain = project.load(written.replace(f"{key}: {value}", f"{key}: {usual}"))
    assert effective(plain, "net", "cam").values["compile"] == {}


def test_what_a_recipe_would_like_waits() -> None:
    recipe = load_recipe("modalix")
    given: Tree = {key: Leaf(PLANNED[key], "recipe modalix") for key in canonical_compile.NOT_BUILT}
    problems: list[Any] = []
    assert (canonical_compile.canonical_compile(given, recipe, problems), problems) == ({}, [])


def test_the_page_names_what_is_not_built() -> None:
    page = (DOCS / "models-yaml.md").read_text(encoding="utf-8")
    line = re.search(r"^Not built yet, but for the default: (.*)\.$", page, re.MULTILINE)
    named = re.findall(r"`(\w+)`", line[1]) if line else []
    assert named == sorted(canonical_compile.NOT_BUILT)
