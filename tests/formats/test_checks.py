"""Rules that files keep or break: one kind of object, whichever the format."""

from __future__ import annotations

import ast
from pathlib import Path

import modelbuild.formats
from modelbuild.formats import kmodel, mpk, nef
from modelbuild.formats.checks import Check, checked, unless
from tests.formats import kmodel_sources, mpk_sources
from tests.formats.nef_sources import build, source


def test_a_reason_stands_where_a_rule_is_broken() -> None:
    assert checked("rule", False, "because") == unless("rule", "because") == Check("rule", False, "because")
    assert checked("rule", True, "because") == unless("rule", "") == Check("rule", True)


def test_every_format_has_the_same() -> None:
    found = [
        *nef.read(build("720", "flatbuffer", 0x80000000, source())).checks,
        *mpk.survey(mpk.build(mpk_sources.source())).checks,
        *kmodel.read(kmodel_sources.version5()).checks,
    ]
    assert {type(check) for check in found} == {Check}
    assert all(check.ok and check.why == "" for check in found)


def test_it_has_one_home() -> None:
    homes = [
        path.name
        for path in Path(modelbuild.formats.__path__[0]).rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Check"
    ]
    assert homes == ["checks.py"]
