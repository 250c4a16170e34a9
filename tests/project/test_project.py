"""What opening a project settles for everything that is built in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build.action import Action
from modelbuild.project.project import open_project
from tests.project.small_project import write_manifest

STAGES = Path(__file__).parents[1] / "build"
FIXED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}


def test_a_worker_has_one_thread_and_nothing_of_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FIXED:
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("PYTHONPATH", str(STAGES))
    write_manifest(tmp_path, "")
    builder = open_project(tmp_path).builder
    action = Action("a", "stages_for_tests:variables", "1", {"names": list(FIXED)})
    result = builder.build([action], ["a"], jobs=1)
    assert result.ok, result.failures
    lines = builder.output(result, "a", "text").read_text().splitlines()
    assert lines == [f"{name}={value}" for name, value in FIXED.items()]
