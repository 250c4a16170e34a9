"""Names of members: what may stand below the archive's folder, and which rule the rest breaks."""

from __future__ import annotations

import pytest

from modelbuild.formats import archive
from modelbuild.formats.archive import Findings, checked, plain_name


@pytest.mark.parametrize("name", ["a.json", "etc/a.json", "café.elf", "a b", "..a", "a..b", "ab:c"])
def test_plain_names_stay(name: str) -> None:
    findings = Findings()
    assert plain_name(name, findings) == name
    assert not findings.first and all(check.ok for check in findings.checks())


def test_a_dot_before_the_name_is_taken_off() -> None:
    assert plain_name("././a", Findings()) == "a"


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("", {archive.ABSOLUTE}),
        ("/etc/passwd", {archive.ABSOLUTE}),
        ("C:evil", {archive.DRIVE}),
        ("C:\\evil", {archive.DRIVE, archive.CONFUSABLE}),
        ("../up", {archive.PARENT}),
        ("a/../../up", {archive.PARENT}),
        ("..\\up", {archive.PARENT, archive.CONFUSABLE}),
        ("a//b", {archive.PARENT}),
        ("a/./b", {archive.PARENT}),
        ("a\uff0fb", {archive.CONFUSABLE}),
        ("a\u2215b", {archive.CONFUSABLE}),
        ("a\uff3cb", {archive.CONFUSABLE}),
        ("\uff0e\uff0e/a", {archive.CONFUSABLE}),
        ("\u2024\u2024/a", {archive.CONFUSABLE}),
        ("\ufe52a", {archive.CONFUSABLE}),
        ("a\x1b[2J", {archive.CONFUSABLE}),
        ("a\u202ejson", {archive.CONFUSABLE}),
        ("e\u0301", {archive.CONFUSABLE}),
        ("x" * 2000, {archive.SIZE}),
    ],
)
def test_each_rule_has_its_check(name: str, rules: set[str]) -> None:
    findings = Findings()
    assert plain_name(name, findings) is None
    assert {check.what for check in findings.checks() if not check.ok} == rules
    assert findings.first


def test_many_findings_are_counted() -> None:
    findings = Findings()
    for number in range(9):
        findings.add(archive.PARENT, f"finding {number}")
    [check] = findings.checks((archive.PARENT,))
    assert check.why.endswith("finding 3; and 5 more")


def test_a_rule_that_is_kept_has_no_why() -> None:
    assert (checked("x", True, "y").why, checked("x", False, "y").why) == ("", "y")


def test_the_limit_grows_with_the_archive() -> None:
    assert archive.unpacked_limit(0) == archive.FREE_SIZE
    assert archive.unpacked_limit(1 << 30) == archive.MAX_SIZE
    assert archive.unpacked_limit(4 << 20) == 256 << 20
