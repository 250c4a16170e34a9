"""Progress as lines: which events are worth one."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build.result import Event
from modelbuild.cli import console, progress
from modelbuild.cli.progress.plain import Plain


def lines(*events: Event, verbose: bool = False) -> list[str]:
    written: list[str] = []
    with Plain(written.append, verbose) as plain:
        for event in events:
            plain(event)
    return written


STARTED = Event("started", "a", total=3)
RAN = Event("finished", "a", "run", done=1, total=3, seconds=0.2)
FAILED = Event("finished", "b", "failed", done=2, total=3)
CACHED = Event("finished", "c", "cached", done=3, total=3)


def test_what_ran_and_what_failed_has_a_line() -> None:
    assert lines(STARTED, RAN, FAILED, CACHED) == ["[1/3] ran a", "[2/3] failed b"]


def test_what_is_cached_is_counted_on_the_next_line() -> None:
    """Else numbers would be missing."""
    cached = [Event("finished", name, "cached", done=done, total=6) for done, name in ((1, "x"), (2, "y"))]
    ran = Event("finished", "a", "run", done=3, total=6, seconds=0.2)
    further = Event("finished", "z", "run", done=4, total=6, seconds=0.3)
    assert lines(*cached, STARTED, ran, further) == ["[3/6] (2 cached) ran a", "[4/6] ran z"]


def test_with_v_everything_has_one() -> None:
    found = lines(Event("waiting"), STARTED, RAN, CACHED, verbose=True)
    assert found == [
        "waiting for another modelbuild in this folder",
        "[0/3] started a",
        "[1/3] ran a",
        "[3/3] cached c",
    ]


def test_a_long_run_is_told_with_its_time() -> None:
    slow = Event("finished", "a", "run", done=1, total=3, seconds=75.4)
    assert lines(STARTED, slow) == ["[1/3] ran a in 1 min 15 s"]


def far(seconds: float, step: int, steps: int = 64) -> Event:
    return Event("progress", "a", done=0, total=3, seconds=seconds, step=step, steps=steps, what="sample")


def test_a_long_action_is_told_of_as_it_passes_its_quarters() -> None:
    told = lines(STARTED, *(far(float(step), step) for step in range(1, 65)))
    assert told == ["[0/3] a  sample 16/64", "[0/3] a  sample 32/64", "[0/3] a  sample 48/64"]


def test_a_quick_action_is_not() -> None:
    assert lines(STARTED, *(far(step / 100, step) for step in range(1, 65)), RAN) == ["[1/3] ran a"]


def test_progress_without_an_end_or_a_start_is_no_trouble() -> None:
    assert lines(far(9.0, 3, 0), STARTED, far(99.0, 3, 0)) == []


def test_a_silent_action_is_told_of_once_a_minute() -> None:
    written: list[str] = []
    with Plain(written.append) as plain:
        plain(STARTED)
        for now in (30.0, 59.0, 60.0, 61.0, 119.0, 121.0):
            plain.remind(now)
        plain(Event("finished", "a", "run", done=1, total=3, seconds=130.0))
        plain.remind(500.0)
    assert written == [
        "still running a, for 1 min 00 s",
        "still running a, for 2 min 01 s",
        "[1/3] ran a in 2 min 10 s",
    ]


@pytest.mark.parametrize(("quiet", "said"), [(False, "[1/3] ran a\n"), (True, "")])
def test_quiet_is_quiet(quiet: bool, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json=False, quiet=quiet, verbose=False, color="never")
    with progress.shown(tmp_path) as tell:
        tell(STARTED)
        tell(RAN)
    captured = capsys.readouterr()
    assert (captured.err, captured.out) == (said, "")
    console.configure(json=False, quiet=False, verbose=False, color="auto")
