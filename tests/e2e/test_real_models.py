"""Real networks, default recipes: accuracy, hardware against fixed, containers read independently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import modelbuild
from tests.formats import independent_nef

MANIFEST = """\
modelbuild: 1
samples:
  pictures: {{files: {data}/images/calib/*.jpg}}
  unseen: {{files: {data}/images/eval/*.jpg, labels: {data}/images/eval.txt}}
  faces: {{files: ["{data}/images/samples/*.jpg", "{data}/images/calib/*.jpg"]}}
models:
  squeezenet:
    source: {data}/models/onnx/squeezenet1.1.onnx
    inputs: {{data: {{preprocess: {{preset: imagenet}}}}}}
    calibration: pictures
    evaluation: {{set: unseen, count: 12}}
    accept: {{snr_db: 25}}
  ultraface:
    source: {data}/models/onnx/ultraface_rfb_320_nopost.onnx
    inputs: {{input: {{preprocess: {{resize: stretch, colour: rgb, mean: 127, std: 128}}}}}}
    calibration: {{set: faces, count: 64}}
    evaluation: {{set: faces, count: 10}}
    accept: {{snr_db: {{scores: 35}}}}
  mobilenetv2:
    source: {data}/models/onnx/mobilenetv2.onnx
    inputs: {{input: {{preprocess: {{preset: imagenet}}}}}}
    calibration: pictures
    evaluation: {{set: unseen, count: 12}}
    accept: {{snr_db: 12}}
targets: {{kl720: {{chip: kl720}}, modalix: {{chip: modalix}}}}
packages:
  nef:
    target: kl720
    models: {{squeezenet: {{id: 32769}}, ultraface: {{id: 32770}}, mobilenetv2: {{id: 32771}}}}
  mpk: {{target: modalix}}
"""
LEAST_DB = {("squeezenet", None): 25.0, ("ultraface", "scores"): 35.0, ("mobilenetv2", None): 12.0}


@pytest.fixture(scope="module")
def project(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    (folder / "models.yaml").write_text(MANIFEST.format(data=shared_data), encoding="utf-8")
    done = modelbuild(folder, "build", "-j", "2", "--json", timeout=900)
    assert done.code == 0, done.err
    return folder


def models(project: Path, package: str) -> dict[str, Any]:
    report = json.loads((project / "reports" / package / "report.json").read_bytes())
    return {model["name"]: model for model in report["models"]}


@pytest.mark.parametrize("package", ["nef", "mpk"])
@pytest.mark.parametrize(("name", "output"), LEAST_DB)
def test_fixed_against_float(project: Path, package: str, name: str, output: str | None) -> None:
    outputs = models(project, package)[name]["fidelity"]["outputs"]
    measured = [entry["snr_db"] for entry in outputs if output in (None, entry["name"])]
    assert measured and min(measured) >= LEAST_DB[name, output]


@pytest.mark.parametrize("package", ["nef", "mpk"])
@pytest.mark.parametrize("name", ["squeezenet", "ultraface", "mobilenetv2"])
def test_hardware_equals_fixed_in_every_bit(project: Path, package: str, name: str) -> None:
    hardware = models(project, package)[name]["hardware"]
    assert hardware["equal"] is True and hardware["samples"] == 1
    layers = hardware["layers"]
    assert len(layers) > 20 and all(layer["equal"] is not False for layer in layers)
    assert all(layer["equal"] or layer["through"] for layer in layers)


def test_the_nef_is_read_by_a_reader_that_shares_no_code(project: Path) -> None:
    data = (project / "dist/nef/models_720.sim.nef").read_bytes()
    found = independent_nef.parse(data)
    assert found["target"] == "720" and found["toolchain"].startswith("modelbuild/")
    assert [model["id"] for model in found["models"]] == [32769, 32770, 32771]
    ultraface = found["models"][1]["io"]
    assert [tensor["name"] for tensor in ultraface["inputs"]] == ["input"]
    assert [tensor["name"] for tensor in ultraface["outputs"]] == ["scores", "boxes"]
    assert [tensor["shape"] for tensor in ultraface["outputs"]] == [[1, 4420, 2], [1, 4420, 4]]
    firmware = json.loads((project / "dist/nef/ultraface.json").read_bytes())
    for tensor, described in zip(ultraface["outputs"], firmware["outputs"], strict=True):
        assert 1 / (tensor["scale"] * 2.0 ** tensor["radix"]) == described["scale"]


def test_the_vendors_nef_is_inspected(shared_data: Path, tmp_path: Path) -> None:
    done = modelbuild(tmp_path, "inspect", str(shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef"), "--json")
    assert done.code == 0
    found = done.json
    assert found["format"] == "nef" and found["silicon"] is True and found["size"] == 1076584
    assert [model["id"] for model in found["models"]] == [32, 5]
    assert len(found["checksums"]) == 6 and all(item["ok"] for item in found["checksums"])


def test_compare_finds_the_packaged_model_near_the_source(project: Path, shared_data: Path) -> None:
    picture = shared_data / "images/eval/002_n01484850.jpg"
    done = modelbuild(
        project,
        "compare",
        str(shared_data / "models/onnx/squeezenet1.1.onnx"),
        "dist/nef/models_720.sim.nef",
        "--model",
        "squeezenet",
        "--input",
        str(picture),
        "--json",
    )
    assert done.code == 0, done.err
    (output,) = done.json["outputs"]
    assert output["snr_db"] >= 20 and output["cosine"] > 0.99 and done.json["equal"] is False
