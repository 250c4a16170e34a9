"""A kmodel whose inputs and outputs are bytes, from manifest to package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modelbuild import api
from modelbuild.artifacts.kmodel_runner import open_kmodel
from modelbuild.artifacts.runner import run_real
from modelbuild.graph import onnx_io
from modelbuild.graph.session import FloatSession
from modelbuild.stages.files import read_json
from tests.project.test_kmodels import MANIFEST, sample, write

ASKED = "quantize: {inputs: uint8, outputs: {scores: uint8}}, "


def test_ports_of_bytes_are_built_verified_and_told(tmp_path: Path) -> None:
    root = write(tmp_path / "p", MANIFEST.replace("maix: {chip: k210, ", "maix: {chip: k210, " + ASKED))
    report = api.build(api.open_project(root), ["p-maix"])
    assert report.ok, report.to_json()["failures"]
    told = read_json(root / "dist/p-maix/net.json")
    assert [(port["name"], port["dtype"]) for port in (*told["inputs"], *told["outputs"])] == [
        ("image", "uint8"),
        ("scores", "uint8"),
    ]
    place = root / "dist/p-maix/net.kmodel"
    found = run_real(open_kmodel(place, place.read_bytes(), "net"), {"image": sample(root)})["scores"]
    exact = FloatSession(onnx_io.read(root / "net.onnx")).run({"image": sample(root)})["scores"]
    assert np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
    hardware = read_json(root / "reports/p-maix/report.json")["models"][0]["hardware"]
    assert hardware["equal"] is True and hardware["samples"] == 4
