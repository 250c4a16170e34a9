"""A source whose weights are a file of their own: what a build and a lock make of that file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild import api
from modelbuild.manifest import lock_facts
from modelbuild.manifest.reads import named
from modelbuild.project.options import BuildOptions

MANIFEST = """\
modelbuild: 1
samples: {digits: {files: data/*.npy}}
models:
  net:
    source: net.prototxt
    weights: net.caffemodel
    inputs: {data: {shape: [1, 1, 28, 28]}}
    calibration: digits
targets: {cam: {chip: kl720}}
packages: {p: {target: cam, models: {net: {id: 32768}}}}
"""
IMPORT = "net:import_source"


@pytest.fixture
def folder(shared_data: Path, tmp_path: Path) -> Path:
    for name, suffix in (("deploy.prototxt", ".prototxt"), ("mnist_lenet.caffemodel", ".caffemodel")):
        (tmp_path / f"net{suffix}").write_bytes((shared_data / "models/caffe/lenet" / name).read_bytes())
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data/0.npy", np.zeros((1, 1, 28, 28), np.float32))
    (tmp_path / "models.yaml").write_text(MANIFEST, encoding="utf-8")
    return tmp_path


def state(folder: Path) -> str:
    project = api.open_project(folder)
    return project.builder.status(project.plan.actions, [IMPORT])[IMPORT].state


def test_they_are_part_of_what_the_import_reads(folder: Path) -> None:
    until = BuildOptions(jobs=1, until="import_source")
    assert api.build(api.open_project(folder), (), until).ok
    assert state(folder) == "up to date"
    path = folder / "net.caffemodel"
    path.write_bytes(path.read_bytes()[:-1000])
    assert state(folder) == "out of date"
    result = api.build(api.open_project(folder), (), until)
    [(action, error)] = result.failures
    assert action == IMPORT and error.exit_code == 2 and "net.caffemodel" in str(error)


def test_the_snapshot_and_the_lock_name_them(folder: Path) -> None:
    manifest = api.open_project(folder).manifest
    assert "net.caffemodel" in dict(named(manifest, None))
    assert lock_facts.settings_of(manifest, "net", "cam")["weights"] == "net.caffemodel"
    assert lock_facts.declared_files(manifest, "net", "cam")["net.caffemodel"] == ("models", "net", "weights")


def test_another_file_of_weights_is_another_import(folder: Path) -> None:
    def inputs() -> dict[str, str]:
        action = next(one for one in api.open_project(folder).plan.actions if one.name == IMPORT)
        return dict(action.paths())

    assert inputs()["weights"] == "net.caffemodel"
    (folder / "other.caffemodel").write_bytes((folder / "net.caffemodel").read_bytes())
    text = MANIFEST.replace("weights: net.", "weights: other.")
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    assert inputs()["weights"] == "other.caffemodel"
