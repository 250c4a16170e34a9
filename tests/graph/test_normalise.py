"""Real models in their normal form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.chips.pass_names import NORMALISE, REQUIRED
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, onnx_io
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import NORMALISE as NORMALISING
from modelbuild.graph.session import FloatSession
from tests.graph.small import Step, graph, numbers, ops

# model -> (shape of its open input, most nodes that may be left)
MODELS: dict[str, tuple[dict[str, tuple[int, ...]], int]] = {
    "mlperf_resnet8": ({"input_1": (1, 3, 32, 32)}, 23),
    "mlperf_vww_96": ({"input_1": (1, 3, 96, 96)}, 58),
    "mnist-8": ({}, 8),
    "mobilenetv2": ({}, 100),
    "nanodet_m_416": ({}, 225),
    "ppocr_cls_v2": ({"x": (1, 3, 48, 192)}, 125),
    "resnet20_cifar10": ({}, 52),
    "squeezenet1.1": ({}, 65),
    "st_mobilenet_v2_128_05": ({"input_1:0": (1, 3, 128, 128)}, 101),
    "ultraface_rfb_320": ({}, 124),
    "ultraface_rfb_320_nopost": ({}, 110),
    "yolox_nano": ({}, 365),
    "yunet_n_320": ({}, 109),
    "yunet_n_dynamic": ({"input": (1, 3, 320, 320)}, 109),
}
GONE = {
    "Constant",
    "Identity",
    "Dropout",
    "Shape",
    "Gather",
    "Unsqueeze",
    "Squeeze",
    "Flatten",
    "BatchNormalization",
    "Pad",
    "MatMul",
}


@pytest.mark.parametrize("name", MODELS)
def test_real_models_keep_their_outputs(shared_data: Path, name: str) -> None:
    path = shared_data / "models/onnx" / f"{name}.onnx"
    shapes, most = MODELS[name]
    loaded = importers.load(path, shapes)
    result, _ = normalise(loaded)
    assert guard.check(path, result).worst.error <= 1e-5
    assert not GONE & set(ops(result))
    assert len(result.nodes) <= most
    assert (result.inputs, result.outputs) == (loaded.inputs, loaded.outputs)
    again, rows = normalise(result)
    assert onnx_io.to_bytes(again) == onnx_io.to_bytes(result)
    assert not any(row.changes for row in rows)


def test_recorded_outputs_of_the_source(shared_data: Path) -> None:
    # MobileNetV2's record is of another last layer than its file's: its weights come from an int8 model.
    result, _ = normalise(importers.load(shared_data / "models/onnx/squeezenet1.1.onnx"))
    recorded = np.load(shared_data / "refs/onnxzoo_squeezenet1.1.npz")
    session = FloatSession(result)
    for index in range(3):
        expected = recorded[f"y{index}"]
        found = session.run({result.inputs[0]: recorded[f"x{index}"].astype(np.float32)})[result.outputs[0]]
        assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected)


def test_every_source_node_that_matters_is_some_nodes_origin(shared_data: Path) -> None:
    loaded = importers.load(shared_data / "models/onnx/resnet20_cifar10.onnx")
    result, _ = normalise(loaded)
    origins = {name for node in result.nodes for name in node.origin}
    kept = {node.name for node in loaded.nodes if node.op in ("Conv", "BatchNormalization", "Relu", "Gemm")}
    assert kept <= origins <= {node.name for node in loaded.nodes}


def test_skipped_passes_do_not_run() -> None:
    before = graph([("Identity", "x", "a"), ("Sub", "a c", "y")], {"c": 1.0})
    result, rows = normalise(before, skip=["subtract_to_add"])
    assert ops(result) == ["Sub"]
    assert "subtract_to_add" not in {row.name for row in rows}
    assert {row.name: row.changes for row in rows if row.changes} == {"remove_no_ops": 1}


def test_only_leaves_the_passes_that_later_stages_rely_on() -> None:
    before = graph([("Flatten", "x", "a"), ("Sub", "a c", "b"), ("Mul", "b c", "y")], {"c": 2.0})
    result, rows = normalise(before, only=["fold_pad"])
    assert ops(result) == ["Reshape", "Sub", "Mul"]
    assert {row.name for row in rows} == {"fold_pad", *REQUIRED}


def test_a_required_pass_cannot_be_skipped() -> None:
    assert ops(normalise(graph([("Flatten", "x", "y")]), skip=["flatten_to_reshape"])[0]) == ["Reshape"]
    assert set(REQUIRED) < set(NORMALISE)


def test_passes_that_undo_each_other_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is handed on that is not in its normal form."""
    for name in ("fold_constants", "fold_pad"):
        monkeypatch.setattr(NORMALISING[name], "run", lambda graph: 1)
    with pytest.raises(ModelbuildError) as caught:
        normalise(graph([("Relu", "x", "y")]))
    (problem,) = caught.value.problems
    assert problem.what.endswith("after 100 rounds fold_constants and fold_pad still act")
    assert "optimize: {skip: [fold_pad]}" in problem.advice and caught.value.exit_code == 1


def test_a_long_chain_before_a_layer_folds_to_its_end() -> None:
    steps: list[Step] = []
    source = "x"
    for index in range(60):
        steps.append((("Add", "Mul")[index % 2], f"{source} c", f"t{index}"))
        source = f"t{index}"
    chain = graph([*steps, ("Conv", f"{source} w", "y")], {"c": 1.01, "w": numbers(3, 2, 1, 1)})
    result, rows = normalise(chain)
    assert ops(result) == ["Conv"]
    assert max(Counter(row.name for row in rows).values()) < 10
