"""A package of several models: where one changes, it alone is compiled again, and the package is put together
anew from the compiled parts, wherever in it they come to lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from modelbuild import api
from modelbuild.artifacts.packing import FORMATS
from modelbuild.formats import nef
from modelbuild.project.options import BuildOptions
from tests.stages.built import Built, opened
from tests.stages.golden import write_project

PACKAGE = "both-nef"
PARTS = ("command", "weights", "host")
MANIFEST = """\
modelbuild: 1
samples: {integers: {files: data/*.npy}}
defaults: {calibration: integers}
models:
  first: {source: first.onnx}
  second: {source: small.onnx}
targets: {nef: {chip: kl520}, mpk: {chip: modalix}}
packages: {both: {targets: [nef, mpk], models: {first: {id: 32768}, second: {id: 32769}}}}
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("both")
    write_project(folder)
    shutil.copy(folder / "small.onnx", folder / "first.onnx")
    (folder / "models.yaml").write_text(MANIFEST, encoding="utf-8")
    return opened(folder)


@pytest.fixture(scope="module")
def after(before: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """With a wider first layer in `first`, which lies before `second` in the NEF."""
    folder = tmp_path_factory.mktemp("changed") / "project"
    shutil.copytree(before.project.root, folder, symlinks=True)
    model = onnx.load(folder / "first.onnx")
    (kernel,) = (one for one in model.graph.initializer if one.name == "w1")
    wider = np.pad(numpy_helper.to_array(kernel), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1)
    kernel.CopyFrom(numpy_helper.from_array(wider, "w1"))
    (stem,) = (node for node in model.graph.node if node.name == "stem")
    (pads,) = (one for one in stem.attribute if one.name == "pads")
    pads.ints[:] = [2, 2, 2, 2]
    onnx.save(model, folder / "first.onnx")
    return opened(folder)


def ran(built: Built) -> set[str]:
    return {name for name, state in built.result.states.items() if state == "run"}


def test_the_other_model_is_not_compiled_again(before: Built, after: Built) -> None:
    assert {"first@nef:compile", "second@nef:compile", f"{PACKAGE}/second:verify_hardware"} <= ran(before)
    again = ran(after)
    assert not [name for name in again if name.startswith(("second:", "second@"))]
    expected = {"first@nef:compile", f"{PACKAGE}:package", f"{PACKAGE}/first:verify_hardware"}
    assert expected <= again


def test_nor_simulated(after: Built) -> None:
    """What the package holds of it is what it held."""
    assert after.result.states[f"{PACKAGE}/second:verify_hardware"] == "cached"
    assert after.result.states["both-mpk/second:verify_hardware"] == "cached"


def test_its_program_lies_elsewhere_and_is_the_same(before: Built, after: Built) -> None:
    files = [
        one.path(f"{PACKAGE}:package", "files/models_520.sim.nef").read_bytes() for one in (before, after)
    ]
    read = [nef.read(data) for data in files]
    places = [one.models[1].regions for one in read]
    assert places[0] is not None and places[1] is not None
    assert places[0].command.address != places[1].command.address
    programs = [{one.name: one for one in FORMATS["nef"].unpack(data)} for data in files]
    assert programs[0]["second"] == programs[1]["second"]
    assert programs[0]["first"] != programs[1]["first"]
    for part in PARTS:
        compiled = after.path("second@nef:compile", f"{part}.bin").read_bytes()
        assert getattr(programs[1]["second"], part) == compiled


def test_another_setting_of_packages_compiles_nothing(before: Built, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(before.project.root, folder, symlinks=True)
    text = MANIFEST.replace("kl520", "kl720").replace("second: {source", "second: {source")
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    opened(folder)
    older = text.replace("{chip: kl720}", "{chip: kl720, compile: {flatbuffer: false}}")
    (folder / "models.yaml").write_text(older, encoding="utf-8")
    report = api.build(api.open_project(folder), (), BuildOptions())
    states = {name for name, state in report.states.items() if state == "run"}
    assert f"{PACKAGE}:package" in states
    assert not [name for name in states if name.endswith((":compile", ":verify_hardware"))]
    data = (folder / f"dist/{PACKAGE}/models_720.sim.nef").read_bytes()
    assert nef.read(data).generation == "legacy720"
