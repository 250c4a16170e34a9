"""A quantized ONNX model, built for chips with and without zero points: its scales, ports and top-1 stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild.graph.session import FloatSession
from tests.e2e.command import modelbuild

COUNT = 8
MANIFEST = """\
modelbuild: 1
samples:
  pictures: {{files: {data}/images/calib/*.jpg}}
  unseen: {{files: {data}/images/eval/*.jpg, labels: labels.txt}}
models:
  mobilenet:
    source: {data}/models/onnx/tf2_mobilenet_v2_int8_qdq.onnx
    inputs: {{input: {{preprocess: {{layout: NHWC}}}}}}
    calibration: {{set: pictures, count: 2}}
    evaluation: {{set: unseen, count: {count}}}
targets: {{kl720: {{chip: kl720}}, modalix: {{chip: modalix}}}}
packages:
  nef: {{target: kl720, models: {{mobilenet: {{id: 32769}}}}}}
  mpk: {{target: modalix}}
"""


@pytest.fixture(scope="module")
def labels(shared_data: Path) -> dict[str, int]:
    """Picture -> the model's class, which counts a background class first."""
    lines = (shared_data / "images/eval.txt").read_text(encoding="utf-8").splitlines()
    return {Path(name).name: int(label) + 1 for name, label in map(str.split, lines)}


@pytest.fixture(scope="module")
def project(shared_data: Path, labels: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized")
    text = "".join(f"{shared_data}/images/eval/{name} {label}\n" for name, label in labels.items())
    (folder / "labels.txt").write_text(text, encoding="utf-8")
    (folder / "models.yaml").write_text(MANIFEST.format(data=shared_data, count=COUNT), encoding="utf-8")
    done = modelbuild(folder, "build", "-j", "1", "--json", timeout=900)
    assert done.code == 0, done.err
    return folder


def report(project: Path, package: str) -> dict[str, Any]:
    (model,) = json.loads((project / "reports" / package / "report.json").read_bytes())["models"]
    return dict(model)


@pytest.mark.parametrize("package", ["nef", "mpk"])
def test_top_1_is_that_of_the_source(
    project: Path, package: str, shared_data: Path, labels: dict[str, int]
) -> None:
    source = FloatSession(shared_data / "models/onnx/tf2_mobilenet_v2_int8_qdq.onnx")
    names = sorted(labels)
    chosen = [names[index * len(names) // COUNT] for index in range(COUNT)]
    right = 0
    for name in chosen:
        with Image.open(shared_data / "images/eval" / name) as picture:
            pixels = np.asarray(picture.convert("RGB"))[None]
        right += int(source.run({"input": pixels})["Identity"].argmax()) == labels[name]
    accuracy = report(project, package)["fidelity"]["accuracy"]
    assert accuracy["fixed"]["top1"] >= right / COUNT - 1.01 / COUNT
    assert right > COUNT // 2


@pytest.mark.parametrize("package", ["nef", "mpk"])
def test_hardware_equals_fixed_in_every_bit(project: Path, package: str) -> None:
    assert report(project, package)["hardware"]["equal"] is True


@pytest.mark.parametrize("package", ["nef", "mpk"])
def test_ports_are_those_of_the_source(project: Path, package: str) -> None:
    firmware = json.loads((project / "dist" / package / "mobilenet.json").read_bytes())
    (entry,), (result,) = firmware["inputs"], firmware["outputs"]
    assert (entry["name"], entry["dtype"], entry["shape"]) == ("input", "uint8", [1, 224, 224, 3])
    assert (result["name"], result["dtype"], result["shape"]) == ("Identity", "uint8", [1, 1001])
    assert (entry["scale"], entry["zero_point"]) == (1.0, 0)


def test_the_record_holds_the_files_own_scales(project: Path) -> None:
    text = (project / "dist/mpk/mobilenet.quant.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line.startswith(("input", "activation", "weight"))]
    assert {line[7] for line in lines} == {"source", "shared"}
    relu = [line for line in lines if line[2] == "0.0235294122248888"]
    assert len(relu) == 35 and {line[3] for line in relu} == {"-128"}
