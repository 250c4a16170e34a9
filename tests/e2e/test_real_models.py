"""Real networks, default recipes: accuracy, hardware against fixed, containers read independently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import modelbuild
from tests.formats import independent_nef

SAMPLES = """\
modelbuild: 1
samples:
  pictures: {{files: {data}/images/calib/*.jpg}}
  unseen: {{files: {data}/images/eval/*.jpg, labels: {data}/images/eval.txt}}
  faces: {{files: ["{data}/images/samples/*.jpg", "{data}/images/calib/*.jpg"]}}
targets: {{kl720: {{chip: kl720}}, modalix: {{chip: modalix}}}}
models:
"""
MODELS = {
    "ultraface": """\
  ultraface:
    source: {data}/models/onnx/ultraface_rfb_320_nopost.onnx
    inputs: {{input: {{preprocess: {{resize: stretch, colour: rgb, mean: 127, std: 128}}}}}}
    calibration: {{set: faces, count: 64}}
    evaluation: {{set: faces, count: 10}}
    accept: {{snr_db: {{scores: 35}}}}
""",
    "squeezenet": """\
  squeezenet:
    source: {data}/models/onnx/squeezenet1.1.onnx
    inputs: {{data: {{preprocess: {{preset: imagenet}}}}}}
    calibration: pictures
    evaluation: {{set: unseen, count: 12}}
    accept: {{snr_db: 25}}
""",
    "mobilenetv2": """\
  mobilenetv2:
    source: {data}/models/onnx/mobilenetv2.onnx
    inputs: {{input: {{preprocess: {{preset: imagenet}}}}}}
    calibration: pictures
    evaluation: {{set: unseen, count: 12}}
    accept: {{snr_db: 12}}
""",
}
PACKAGES = """\
packages:
  nef:
    target: kl720
    models: {{{ids}}}
  mpk: {{target: modalix}}
"""
LEAST_DB = {"squeezenet": (25.0, None), "ultraface": (35.0, "scores"), "mobilenetv2": (12.0, None)}
IDS = {name: 32769 + index for index, name in enumerate(MODELS)}
pytestmark = pytest.mark.parametrize(
    "project", ["ultraface", pytest.param("all", marks=pytest.mark.long)], indirect=True
)


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A network, or all, built for two chips."""
    names = list(MODELS) if request.param == "all" else [request.param]
    folder = tmp_path_factory.mktemp("real")
    ids = ", ".join(f"{name}: {{{{id: {IDS[name]}}}}}" for name in names)
    text = SAMPLES + "".join(MODELS[name] for name in names) + PACKAGES.replace("{ids}", ids)
    (folder / "models.yaml").write_text(text.format(data=shared_data), encoding="utf-8")
    done = modelbuild(folder, "build", "-j", "1", "--json", timeout=900)
    assert done.code == 0, done.err
    return folder


def models(project: Path, package: str) -> dict[str, Any]:
    report = json.loads((project / "reports" / package / "report.json").read_bytes())
    return {model["name"]: model for model in report["models"]}


@pytest.mark.parametrize("package", ["nef", "mpk"])
def test_fixed_against_float(project: Path, package: str) -> None:
    for name, model in models(project, package).items():
        least, output = LEAST_DB[name]
        outputs = model["fidelity"]["outputs"]
        measured = [entry["snr_db"] for entry in outputs if output in (None, entry["name"])]
        assert measured and min(measured) >= least, name


@pytest.mark.parametrize("package", ["nef", "mpk"])
def test_hardware_equals_fixed_in_every_bit(project: Path, package: str) -> None:
    found = models(project, package)
    assert "ultraface" in found
    for name, model in found.items():
        hardware = model["hardware"]
        assert hardware["equal"] is True and hardware["samples"] == 1, name
        layers = hardware["layers"]
        assert len(layers) > 20 and all(layer["equal"] is not False for layer in layers), name
        assert all(layer["equal"] or layer["through"] for layer in layers), name


def test_the_nef_is_read_by_a_reader_that_shares_no_code(project: Path) -> None:
    data = (project / "dist/nef/models_720.sim.nef").read_bytes()
    found = independent_nef.parse(data)
    assert found["target"] == "720" and found["toolchain"].startswith("modelbuild/")
    assert [model["id"] for model in found["models"]] == [IDS[name] for name in models(project, "nef")]
    ultraface = found["models"][0]["io"]
    assert [tensor["name"] for tensor in ultraface["inputs"]] == ["input"]
    assert [tensor["name"] for tensor in ultraface["outputs"]] == ["scores", "boxes"]
    assert [tensor["shape"] for tensor in ultraface["outputs"]] == [[1, 4420, 2], [1, 4420, 4]]
    firmware = json.loads((project / "dist/nef/ultraface.json").read_bytes())
    for tensor, described in zip(ultraface["outputs"], firmware["outputs"], strict=True):
        assert 1 / (tensor["scale"] * 2.0 ** tensor["radix"]) == described["scale"]


def test_compare_finds_the_packaged_model_near_the_source(project: Path, shared_data: Path) -> None:
    done = modelbuild(
        project,
        "compare",
        str(shared_data / "models/onnx/ultraface_rfb_320_nopost.onnx"),
        "dist/nef/models_720.sim.nef",
        "--model",
        "ultraface",
        "--input",
        str(shared_data / "images/eval/002_n01484850.jpg"),
        "--json",
    )
    assert done.code == 0, done.err
    scores, boxes = done.json["outputs"]
    assert scores["snr_db"] >= 20 and scores["cosine"] > 0.99 and done.json["equal"] is False
    assert boxes["cosine"] > 0.99
