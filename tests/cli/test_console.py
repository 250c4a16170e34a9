"""Tables, findings, colours, and what goes to which stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modelbuild.cli import console


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    configured()
    yield
    configured()


def configured(**given: Any) -> None:
    console.configure(**{"json": False, "quiet": False, "verbose": False, "color": "never", **given})


def test_columns_line_up_and_lines_have_no_tail() -> None:
    text = console.table(("name", "size", "x"), [("a", "10", ""), ("longer", "9", "y")], right=(1,))
    assert text.split("\n") == ["name    size  x", "a         10", "longer     9  y"]
    assert console.table(("only", "header"), []) == "only  header"


FINDING: dict[str, Any] = {
    "code": "MB101",
    "severity": "error",
    "message": "no unit runs Det",
    "advice": "cut it off",
    "node": "d",
    "file": "models.yaml",
    "line": 3,
    "column": 7,
    "model": "net",
    "target": "cam",
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "models.yaml:3:7: error MB101: net@cam: no unit runs Det\n  do:  cut it off"),
        ({"advice": ""}, "models.yaml:3:7: error MB101: net@cam: no unit runs Det"),
        ({"target": "", "advice": ""}, "models.yaml:3:7: error MB101: no unit runs Det"),
        ({"file": "", "line": None, "advice": ""}, "error MB101: net@cam: no unit runs Det"),
        ({"line": None, "where": "input x", "advice": ""}, "input x: error MB101: net@cam: no unit runs Det"),
    ],
)
def test_a_finding(changes: dict[str, Any], text: str) -> None:
    assert console.finding_text({**FINDING, **changes}) == text


def test_colours_of_findings() -> None:
    configured(color="always")
    assert "\x1b[31merror\x1b[0m" in console.finding_text(FINDING)
    assert "\x1b[33mwarning\x1b[0m" in console.finding_text({**FINDING, "severity": "warning"})


def test_colour_needs_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    configured(color="auto")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.paint("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert console.paint("x", "red") == "x"  # captured: no terminal
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.paint("x", "red", Terminal()) == "x"


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    console.result("text", {"b": 1, "a": "é"})
    console.progress("progress")
    console.detail("detail")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("text\n", "progress\n")
    configured(json=True, quiet=True, verbose=True)
    console.result("text", {"b": 1, "a": "é"})
    console.summary("text", {"ok": True})
    console.progress("progress")
    console.detail("detail")
    captured = capsys.readouterr()
    assert captured.out == '{\n  "a": "é",\n  "b": 1\n}\n{\n  "ok": true\n}\n'
    assert captured.err == "detail\n"
    configured(quiet=True)
    console.summary("text", {})
    console.result("text", {})
    assert capsys.readouterr().out == "text\n"


def test_a_number_that_json_does_not_have_is_no_output() -> None:
    configured(json=True)
    with pytest.raises(ValueError, match="JSON"):
        console.result("", {"x": float("nan")})
