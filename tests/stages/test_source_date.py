"""`SOURCE_DATE_EPOCH`: the time of an archive's members, and part of the key of what writes the archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build.key import fields, key_of
from modelbuild.errors import ModelbuildError
from modelbuild.formats import tar
from modelbuild.formats.source_date import VARIABLE
from modelbuild.manifest.plan import plan
from tests.stages.built import Built


def keys(built: Built) -> dict[str, str]:
    """Action -> key, with the inputs as they are."""
    return {action.name: key_of(fields(action, {})) for action in plan(built.project.manifest).actions}


def test_it_changes_the_key_of_packages_with_times_alone(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    before = keys(built)
    monkeypatch.setenv(VARIABLE, "")
    assert keys(built) == before, "empty is not set"
    monkeypatch.setenv(VARIABLE, "1700000000")
    after = keys(built)
    assert {name for name in before if before[name] != after[name]} == {"all-mpk:package"}


def test_it_is_the_time_of_the_members(built: Built, tmp_path: Path) -> None:
    def times(time: int) -> frozenset[int | None]:
        out = built.run("all-mpk:package", tmp_path / str(time), parameters={"time": time})
        [archive] = (out / "files").glob("*_mpk.sim.tar.gz")
        return tar.survey(archive.read_bytes()).times

    assert (times(0), times(1_700_000_000)) == ({0}, {1_700_000_000})


def test_what_is_no_time_is_an_error_that_names_it(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "yesterday")
    with pytest.raises(ModelbuildError, match="SOURCE_DATE_EPOCH") as caught:
        plan(built.project.manifest)
    assert caught.value.exit_code == 2
