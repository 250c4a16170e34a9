"""Tables, findings, colours, and what goes to which stream."""

from __future__ import annotations

import json
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


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
    ],
)
def test_what_decides_on_colours(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], shown: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    configured(color="auto")
    assert console.shows_colour(Terminal()) is shown
    configured(color="always")
    assert console.shows_colour(Terminal()) is True
    configured(color="never")
    assert console.shows_colour(Terminal()) is False


@pytest.mark.parametrize(
    ("environment", "drawn"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({"CI": "true"}, False),
        ({"CI": "false"}, True),
    ],
)
def test_where_a_display_is_drawn(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], drawn: bool
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert console.is_terminal(Terminal()) is drawn


def test_columns_of_wide_and_combining_characters_line_up() -> None:
    rows = [("顔検出", "x"), ("e\u0301", "y"), ("abcdef", "z")]
    lines = console.table(("name", "b"), rows).split("\n")
    assert [console.width(line.rsplit("  ", 1)[0]) for line in lines] == [6, 6, 6, 6]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (12_345, "12.1 KiB"),
        (5 << 20, "5.0 MiB"),
        (7 << 40, "7168.0 GiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert console.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7440, "2 h 04 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


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


def test_a_large_object_is_put_in_pieces() -> None:
    data = {"z": [{"b": number, "a": "é"} for number in range(6_000)], "a": None}
    pieces = list(console.json_pieces(data))
    assert len(pieces) > 3 and max(map(len, pieces)) < 200_000
    assert "".join(pieces) == json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_a_cell_that_is_too_wide_moves_its_own_line_only() -> None:
    rows = [("a", "npu"), ("n" * 12, "cpu"), ("bcd", "npu")]
    lines = console.table(("node", "unit"), rows, widest=10).splitlines()
    assert lines == ["node  unit", "a     npu", f"{'n' * 12}  cpu", "bcd   npu"]
