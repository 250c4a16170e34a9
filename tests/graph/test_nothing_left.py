"""Every real model of every format: what the chip-neutral passes promise to leave nothing of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, shapes
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.rewrite import copied
from modelbuild.graph.surviving import surviving
from tests.conftest import SHARED_DATA

MODELS = SHARED_DATA / "models"
SHAPES = {
    "mlperf_resnet8": {"input_1": (1, 3, 32, 32)},
    "mlperf_vww_96": {"input_1": (1, 3, 96, 96)},
    "ppocr_cls_v2": {"x": (1, 3, 48, 192)},
    "st_mobilenet_v2_128_05": {"input_1:0": (1, 3, 128, 128)},
    "yunet_n_dynamic": {"input": (1, 3, 320, 320)},
}
LEFT_OVER = {
    *("BatchNormalization", "Constant", "ConstantOfShape", "Dropout", "Flatten", "Identity", "Shape", "Size"),
    *("Squeeze", "Unsqueeze"),
}
# Detection heads and channel shuffles, and a model whose input is NHWC.
TRANSPOSED = ("RFB-320", "nanodet", "tf2_mobilenet_v2_int8_qdq", "ultraface", "yolov5n", "yolox", "yunet")
FILES = sorted(path for path in MODELS.rglob("*") if path.suffix in importers.IMPORTERS and path.is_file())


@pytest.mark.parametrize("path", FILES, ids=[f"{path.suffix[1:]}-{path.stem}" for path in FILES])
def test_real_models_hold_no_left_overs(path: Path) -> None:
    weights = next(path.parent.glob("*.caffemodel"), None) if path.suffix == ".prototxt" else None
    try:
        source = importers.load(
            path, SHAPES.get(path.stem, {}) if path.suffix == ".onnx" else {}, weights=weights
        )
    except ModelbuildError as error:
        assert path.stem.startswith("silero_vad") and "`If`" in f"{error}".replace("If `", "`If` `"), str(
            error
        )
        return
    result, _ = normalise(source)
    guard.check(source, result)
    assert not LEFT_OVER & {node.op for node in result.nodes}
    assert not _shape_arithmetic(result)
    assert all(reason for _, reason in surviving(result))
    kept = {node.op for node, _ in surviving(result)}
    assert "Gather" not in kept
    assert "Transpose" not in kept or path.stem.startswith(TRANSPOSED)


def _shape_arithmetic(graph: Graph) -> list[str]:
    """Nodes whose result is the same for every input."""
    known = shapes.known_values(copied(graph))
    return [node.name for node in graph.nodes if all(name in known for name in node.outputs if name)]


def test_folded_constants_take_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """No BLAS and no function of a math library is called while a graph is normalised."""
    path = MODELS / "onnx/resnet20_cifar10.onnx"
    if not path.is_file():
        pytest.skip("the models are not beside this checkout")
    source = importers.load(path)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("not the same on every processor")

    for name in (
        "dot",
        "matmul",
        "einsum",
        "tensordot",
        "inner",
        "vdot",
        "exp",
        "log",
        "tanh",
        "power",
        "sin",
        "cos",
    ):
        monkeypatch.setattr(np, name, refused)
    normalise(source)
