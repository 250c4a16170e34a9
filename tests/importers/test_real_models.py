"""Every real ONNX model beside the checkout imports and agrees with its file, or is refused as it must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from modelbuild.graph.session import FloatSession

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "mlperf_resnet8": {"input_1": (1, 3, 32, 32)},
    "mlperf_vww_96": {"input_1": (1, 3, 96, 96)},
    "ppocr_cls_v2": {"x": (1, 3, 48, 192)},
    "st_mobilenet_v2_128_05": {"input_1:0": (1, 3, 128, 128)},
    "yunet_n_dynamic": {"input": (1, 3, 64, 96)},
}
FLOAT = (
    "mlperf_resnet8", "mlperf_vww_96", "mnist-8", "mobilenetv2", "nanodet_m_416", "ppocr_cls_v2",
    "resnet20_cifar10", "squeezenet1.1", "st_mobilenet_v2_128_05", "ultraface_rfb_320",
    "ultraface_rfb_320_nopost", "yolox_nano", "yunet_n_320", "yunet_n_dynamic",
)  # fmt: skip
ELSEWHERE = {"silero_vad_16k_op15": "test_branches.py", "tf2_mobilenet_v2_int8_qdq": "test_qdq.py"}


@pytest.fixture
def models(shared_data: Path) -> Path:
    return shared_data / "models/onnx"


def test_no_model_is_left_out(models: Path) -> None:
    assert {path.stem for path in models.glob("*.onnx")} == {*FLOAT, *ELSEWHERE}


@pytest.mark.parametrize("name", FLOAT)
def test_the_import_agrees_with_the_file(models: Path, name: str) -> None:
    path = models / f"{name}.onnx"
    if name in SHAPES:
        with pytest.raises(ModelbuildError, match="has no fixed size"):
            importers.load(path)
    graph = importers.load(path, SHAPES.get(name))
    found = importers.check(path, graph)
    assert found is not None and found.worst.error <= 1e-4
    assert guard.check(path, normalise(graph)[0]).worst.error <= 1e-4


def _differences(models: Path, name: str, reference: str) -> list[float]:
    """The largest difference from each stored output, as a part of its range."""
    stored = np.load(models.parents[1] / f"refs/{reference}.npz")
    session = FloatSession(normalise(importers.load(models / f"{name}.onnx"))[0])
    (source,) = session.inputs
    found = []
    for index in range(3):
        (output,) = session.run({source: stored[f"x{index}"]}).values()
        expected = stored[f"y{index}"].reshape(output.shape)
        found.append(float(np.abs(output - expected).max() / np.ptp(expected)))
    return found


def test_stored_outputs_of_squeezenet(models: Path) -> None:
    assert max(_differences(models, "squeezenet1.1", "onnxzoo_squeezenet1.1")) <= 1e-4


def test_stored_outputs_of_mobilenet_are_those_of_other_weights(models: Path) -> None:
    """The weights of its last layer are whole multiples of one step, as int8 leaves them; the stored outputs
    differ as much as rounding the weights to that step explains: step / sqrt(12) for each."""
    graph = importers.load(models / "mobilenetv2.onnx")
    weights = graph.constants["gemm_104_weight"].astype(np.float64)
    step = np.diff(np.unique(weights)).min()
    assert len(np.unique(weights)) <= 256
    assert np.abs(weights / step - np.round(weights / step)).max() < 0.01
    stored = np.load(models.parents[1] / "refs/onnxzoo_mobilenetv2.npz")
    session = FloatSession(graph, ["gap", *graph.outputs])
    for index in range(3):
        features, output = session.run({"input": stored[f"x{index}"]}).values()
        explained = step / np.sqrt(12) * np.sqrt(np.square(features).sum())
        deviation = np.sqrt(np.square(output - stored[f"y{index}"]).mean())
        assert 0.9 * explained < deviation < 1.1 * explained
    assert max(_differences(models, "mobilenetv2", "onnxzoo_mobilenetv2")) < 5e-3
