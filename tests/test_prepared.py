"""Forked workers and commands make what started ones make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import prepared
from tests.e2e.command import files_below, modelbuild
from tests.project.small_project import PAIR, write_manifest, write_model, write_samples

ONE = PAIR.replace("  pb: {target: eye, models: [b]}\n", "")


def test_what_is_forked_makes_the_same_bytes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made = []
    for name in ("forked", "started"):
        if name == "started":
            request.getfixturevalue("started_workers")
        (tmp_path / name).mkdir()
        write_model(tmp_path / name / "a.onnx")
        write_model(tmp_path / name / "b.onnx", 2)
        write_samples(tmp_path / name / "data")
        write_manifest(tmp_path / name, ONE)
        done = modelbuild(tmp_path / name, "build", "-j", "1")
        assert done.code == 0, done.err
        made.append({**files_below(tmp_path / name / "dist"), **files_below(tmp_path / name / "reports")})
    assert made[0] == made[1] and len(made[0]) > 2


def test_a_command_tells_its_exit_code_and_what_it_printed(tmp_path: Path) -> None:
    done = modelbuild(tmp_path, "build")
    assert done.code == 2 and not done.out and "cannot read the manifest" in done.err
    assert modelbuild(tmp_path, "--version").out.startswith("modelbuild ")


@pytest.mark.parametrize(
    "variable", ["OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "LC_ALL", "PYTHONUTF8"]
)
def test_what_is_read_at_the_start_takes_a_start(tmp_path: Path, variable: str) -> None:
    assert prepared.command(tmp_path, ["--version"], {variable: "other"}, 60) is None
