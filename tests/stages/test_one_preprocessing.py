"""Preprocessing is declared once, at the input: calibration, every check and measurement, and the package use
that declaration, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild import api
from modelbuild.project.options import BuildOptions
from modelbuild.quantize.observations import Observations
from modelbuild.samples.preprocess import from_settings, to_json
from tests.project.small_project import SHAPE, write_manifest, write_model

DECLARED = {"mean": [10, 20, 30], "std": [2, 4, 8], "colour": "bgr", "resize": "stretch"}
USERS = {"check_samples", "check_calibration", "observe", "apply", "verify_fixed", "verify_hardware"}
MANIFEST = """\
samples: {s: {files: data/*.png, labels: labels.json}}
models:
  net:
    source: net.onnx
    inputs: {image: {preprocess: PREPROCESS}}
    calibration: s
    postprocess: post.py:boxes
    verify: {hardware: all}
    accept: {snr_db: 20, map: 0}
targets: {cam: {chip: modalix}}
packages: {p: {target: cam}}
"""
POST = """\
def boxes(outputs, inputs):
    low, high = float(inputs["image"].min()), float(inputs["image"].max())
    assert -15 <= low and high <= 122.5, (low, high)
    return []
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("declared")
    write_model(folder / "net.onnx")
    (folder / "data").mkdir()
    draw = np.random.default_rng(0)
    for index in range(4):
        pixels = draw.integers(0, 256, (6, 5, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"data/{index}.png")
    boxes = [{"box": [0, 0, 2, 2], "class": 0}]
    (folder / "labels.json").write_text(json.dumps([boxes] * 4), encoding="utf-8")
    (folder / "post.py").write_text(POST, encoding="utf-8")
    write_manifest(folder, MANIFEST.replace("PREPROCESS", json.dumps(DECLARED)))
    return folder


def test_every_stage_is_planned_with_the_same_declaration(folder: Path) -> None:
    actions = api.open_project(folder).plan.actions
    given = {
        action.name.rsplit(":", 1)[1]: action.parameters["preprocess"]["image"]
        for action in actions
        if "preprocess" in action.parameters
    }
    assert given.keys() == USERS
    (only,) = {json.dumps(one, sort_keys=True) for one in given.values()}
    assert from_settings(json.loads(only)) == from_settings(DECLARED)


def test_what_is_calibrated_measured_and_shipped_is_what_was_declared(folder: Path) -> None:
    project = api.open_project(folder)
    report = api.build(project, (), BuildOptions(jobs=1))
    assert report.ok, report.failures
    result = project.builder.build(project.plan.actions, ["net@cam:observe"], jobs=1)
    path = project.builder.output(result, "net@cam:observe", "observations.npz")
    seen = Observations.load(path).tensors["image"]
    tensors = [_tensor(folder / f"data/{index}.png") for index in range(4)]
    assert seen.channel_low == pytest.approx(np.min(tensors, axis=(0, 1, 3, 4)))
    assert seen.channel_high == pytest.approx(np.max(tensors, axis=(0, 1, 3, 4)))
    shipped: dict[str, Any] = json.loads((folder / "dist/p/net.json").read_bytes())
    (port,) = shipped["inputs"]
    assert from_settings(port["preprocess"]) == from_settings(DECLARED)
    (port,) = json.loads((folder / "reports/p/report.json").read_bytes())["models"][0]["inputs"]
    assert port["preprocess"] == to_json(from_settings(DECLARED))


def _tensor(path: Path) -> Any:
    """The picture as the input has it, worked out here: resized, blue first, (x - mean) / std."""
    from modelbuild.samples.resample import resize

    with Image.open(path) as image:
        pixels = resize(np.asarray(image)[:, :, ::-1], SHAPE[2], SHAPE[3], "bilinear").astype(np.float64)
    return ((pixels - DECLARED["mean"]) / DECLARED["std"]).transpose(2, 0, 1)[None]
