"""What is only looked at works in a checkout that cannot be written to, also where it never ran."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from modelbuild import api
from modelbuild.project import elsewhere
from tests.e2e.command import files_below
from tests.stages.golden import write_project


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was never built, whose folder the system says cannot be written to."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    write_project(folder)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    access = os.access

    def refused(path: str, mode: int) -> bool:
        return access(path, mode) and not (mode & os.W_OK and Path(path).is_relative_to(folder))

    monkeypatch.setattr(elsewhere.os, "access", refused)
    return folder


def test_check_and_evaluate_leave_no_trace(unwritable: Path) -> None:
    before = files_below(unwritable)
    report = api.check(api.open_project(unwritable), ["small@nef"])
    assert report.ok and report.units["small@nef"]
    (found,) = api.evaluate_selected(api.open_project(unwritable), ["small@nef"])
    assert found["fps"] > 0
    assert files_below(unwritable) == before
    assert not any(Path(tempfile.gettempdir()).iterdir())


def test_what_is_done_already_is_read_where_it_lies(
    unwritable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as writable:
        writable.setattr(elsewhere.os, "access", lambda path, mode: True)
        api.check(api.open_project(unwritable), ["small@nef"])
    monkeypatch.setattr(elsewhere, "scratch", None)  # nothing is worked out anew
    assert api.check(api.open_project(unwritable), ["small@nef"]).ok
