"""The display, on a real terminal: what is drawn, what stays, and what a signal leaves."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.on_terminal import answer, command, resize, seen

DRAWN = str(Path(__file__).with_name("drawn.py"))
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def drawn(folder: Path, count: int, prefix: str = "face@cam", ending: str = "") -> list[str]:
    return [sys.executable, DRAWN, str(folder), str(count), prefix, *([ending] if ending else [])]


def test_what_runs_how_far_it_is_and_what_was_cached(tmp_path: Path) -> None:
    found = seen(drawn(tmp_path, 1, ending="wait"), once=("sample 12/64", answer))
    assert found.code == 0
    assert "face@cam0:observe  sample 12/64" in found.text
    assert "1/2  1 cached" in found.text and "━" in found.text
    assert [line for line in found.left if line] == ["halfway at face@cam0:observe", "the end"]


def test_the_time_left_is_told_once_it_is_known(tmp_path: Path) -> None:
    first = seen(drawn(tmp_path, 2, ending="wait"), once=("halfway", answer))
    assert first.code == 0 and (tmp_path / "durations.json").is_file()
    assert seen(drawn(tmp_path, 2, ending="wait"), once=(" left", answer)).code == 0


def test_a_failure_is_printed_at_once_above_the_display_and_stays(tmp_path: Path) -> None:
    found = seen(drawn(tmp_path, 9, ending="fail"))
    told = ["failed: face@cam4:observe", "error: it broke", "  why: it was weak", "  do:  mend it"]
    left = [line.rstrip() for line in found.left if line.strip()]
    at = left.index(told[0])
    assert left[at : at + 4] == told and left[-1] == "the end"


@pytest.mark.parametrize(("columns", "far"), [(20, "…  12/64"), (40, " s"), (200, " s")])
def test_lines_are_never_wider_than_the_terminal(tmp_path: Path, columns: int, far: str) -> None:
    words = drawn(tmp_path, 1, "gesicht-顔検出モデル-" * 3 + "@cam", ending="wait")
    found = seen(words, columns=columns, once=("12/64", answer))
    assert found.code == 0
    drawn_lines = re.split(r"[\r\n]+", found.text)
    assert max(sum(2 if ord(letter) > 0x2E80 else 1 for letter in line) for line in drawn_lines) <= columns
    assert any(line.rstrip().endswith(far) for line in drawn_lines)
    assert [line for line in found.left if line][-1] == "the end"


def test_a_thousand_actions_are_drawn_by_a_clock(tmp_path: Path) -> None:
    found = seen(drawn(tmp_path, 1000))
    assert found.code == 0 and [line for line in found.left if line] == ["the end"]
    assert found.raw.count("\x1b[2K") < 500


def test_a_terminal_that_is_resized(tmp_path: Path) -> None:
    def narrow(pid: int, terminal: int) -> None:
        resize(terminal, 30, 6)
        answer(pid, terminal)

    found = seen(drawn(tmp_path, 2, ending="wait"), once=("halfway", narrow))
    assert found.code == 0 and "the end" in found.left


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_signal_leaves_a_hidden_cursor(tmp_path: Path, how: signal.Signals) -> None:
    found = seen(drawn(tmp_path, 2, ending="wait"), once=("halfway", lambda pid, terminal: os.kill(pid, how)))
    assert found.code == (130 if how is signal.SIGINT else -how)
    assert HIDE not in found.raw or found.raw.rindex(SHOW) > found.raw.rindex(HIDE)
    if how is signal.SIGINT:
        assert [line for line in found.left if line.strip()][-1] == "interrupted"


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"CI": "true"}])
def test_no_control_characters_where_nobody_draws(tmp_path: Path, environment: dict[str, str]) -> None:
    found = seen(drawn(tmp_path, 2, ending="fail"), environment={**environment, "NO_COLOR": "1"})
    assert "\x1b" not in found.raw
    assert "[2/3] (1 cached) ran face@cam0:observe" in found.text
    assert "failed: face@cam1:observe" in found.text


EVALUATED = [
    (("--chip", "kl720"), 2),
    (("--compare", "kl520,kl720"), 3),
    (("--chip", "kl720", "--tiling", "deep", "--advise"), 2),
]


@pytest.mark.parametrize(("words", "steps"), EVALUATED[:2])
def test_evaluating_a_file_is_drawn_like_a_build(small: Path, words: tuple[str, ...], steps: int) -> None:
    found = seen(command(small, "evaluate", "small.onnx", *words), columns=100)
    assert found.code == 0 and "small:import" in found.text and f"0/{steps}" in found.text


@pytest.mark.parametrize(
    ("words", "steps"), [EVALUATED[2], *(pytest.param(*one, marks=pytest.mark.long) for one in EVALUATED[:2])]
)
def test_what_is_drawn_leaves_what_is_printed_elsewhere(
    small: Path, words: tuple[str, ...], steps: int
) -> None:
    line = command(small, "evaluate", "small.onnx", *words)
    found = seen(line, columns=100)
    plain = seen(line, columns=100, environment={"TERM": "dumb"})
    quiet = seen([*line, "-q"], columns=100)
    assert found.code == 0 and "small:import" in found.text and f"0/{steps}" in found.text
    for one in (plain, quiet):
        assert "\x1b[2K" not in one.raw and "small:import" not in one.text
    shown = [[line for line in one.left if line] for one in (found, plain, quiet)]
    assert shown[0] == shown[1] == shown[2] != []


def test_colours(tmp_path: Path) -> None:
    words, pressed = drawn(tmp_path, 1, ending="wait"), ("sample 12/64", answer)
    assert "\x1b[1m" in seen(words, once=pressed).raw
    plain = seen(words, once=pressed, environment={"NO_COLOR": "1"}).raw
    assert "\x1b[3" not in plain and "\x1b[1m" not in plain and "\x1b[2K" in plain


def test_a_real_build(copied: Path) -> None:
    manifest = copied / "models.yaml"
    manifest.write_text(manifest.read_text().replace("accept: {snr_db: 5}", "accept: {snr_db: 4}"))
    found = seen(command(copied, "build"), columns=100)
    assert found.code == 0 and "all-nef:gate" in found.text
    left = [line for line in found.left if line]
    assert not any("MB116" in line for line in left)  # it was known that its weights would be packed
    assert ["package", "target", "gate", "size", "file"] in [line.split() for line in left]
    assert left[-1].startswith("took ") and " ran, " in left[-2]
    again = seen(command(copied, "build"), columns=100)
    assert "\x1b[2K" not in again.raw and "nothing to do" in again.text
