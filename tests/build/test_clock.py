"""What the file system's clock says of moments that are past."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from modelbuild.build.clock import COARSE_NS, GRANULARITY_NS, Clock

HOUR = 3600 * 10**9


@pytest.fixture(params=[True, False])
def clock(request: pytest.FixtureRequest, tmp_path: Path) -> Clock:
    """One that reads its folder's stamps, and one that has only the machine's time."""
    return Clock(str(tmp_path) if request.param else None)


def set_machine_clock(monkeypatch: pytest.MonkeyPatch, by_ns: int) -> None:
    true = time.time_ns
    monkeypatch.setattr("modelbuild.build.clock.time.time_ns", lambda: true() + by_ns)


def test_a_moment_is_put_back_by_the_margin_at_least(clock: Clock) -> None:
    moment = time.time_ns()
    assert moment - 2 * COARSE_NS < clock.since(moment) <= moment - GRANULARITY_NS + 10**7


def test_a_clock_that_was_set_back_makes_a_moment_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file written after the moment may have a time before it."""
    began = time.time_ns()
    set_machine_clock(monkeypatch, -HOUR)
    assert Clock(None).since(began) <= began - HOUR


def test_a_clock_that_was_set_forward_makes_no_file_older(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time_ns()
    set_machine_clock(monkeypatch, HOUR)
    assert Clock(None).since(began) <= began


def test_a_file_lay_still_only_if_it_was_old_at_the_moment(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    found = path.stat()
    assert clock.was_settled(found, found.st_ctime_ns + 2 * COARSE_NS)
    assert not clock.was_settled(found, found.st_ctime_ns)
    assert not clock.was_settled(found, found.st_ctime_ns - HOUR)
