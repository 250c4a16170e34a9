"""BatchNormalization into its neighbour."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.small import after, graph, normalization, numbers, only, ops, untouched

NORMALIZE = "scale bias mean variance"


def test_formula_on_one_channel() -> None:
    parameters = {"scale": [3.0], "bias": [1.0], "mean": [2.0], "variance": [4.0]}
    steps = [("Conv", "x w b", "a"), ("BatchNormalization", f"a {NORMALIZE}", "y", {"epsilon": 0.0})]
    before = graph(steps, {"w": np.full((1, 1, 1, 1), 2.0), "b": [10.0], **parameters}, x=(1, 1, 2, 2))
    result = after("fold_batch_normalization", before)
    conv = only(result, "Conv")  # ((2 x + 10) - 2) / 2 * 3 + 1
    assert result.constants[conv.inputs[1]].item() == 3.0
    assert result.constants[conv.inputs[2]].tolist() == [13.0]
    assert conv.outputs == ["y"]
    assert conv.origin == ("conv_0", "batchnormalization_1")


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_into_the_layer_before(op: str, group: int) -> None:
    weights = numbers(4, 2 // group, 3, 3) if op == "Conv" else numbers(2, 4 // group, 3, 3)
    steps = [(op, "x w", "a", {"group": group}), ("BatchNormalization", f"a {NORMALIZE}", "y")]
    assert ops(after("fold_batch_normalization", graph(steps, {"w": weights, **normalization(4)}))) == [op]


def test_into_gemm_before_and_after() -> None:
    gemm = ("Gemm", "x w b", "a", {"transB": 1})
    constants = {"w": numbers(4, 6), "b": numbers(4), **normalization(4)}
    before = graph([gemm, ("BatchNormalization", f"a {NORMALIZE}", "y")], constants, x=(2, 6))
    assert ops(after("fold_batch_normalization", before)) == ["Gemm"]
    steps = [("BatchNormalization", f"x {NORMALIZE}", "a"), ("Gemm", "a w b", "y", {"transB": 1})]
    constants |= normalization(6)
    assert ops(after("fold_batch_normalization", graph(steps, constants, x=(2, 6)))) == ["Gemm"]


@pytest.mark.parametrize("group", [1, 2])
def test_into_the_conv_after(group: int) -> None:
    steps = [("BatchNormalization", f"x {NORMALIZE}", "a"), ("Conv", "a w", "y", {"group": group})]
    before = graph(steps, {"w": numbers(4, 2 // group, 3, 3), **normalization()})
    assert ops(after("fold_batch_normalization", before)) == ["Conv"]


def test_padding_forbids_the_shift() -> None:
    conv = ("Conv", "a w", "y", {"pads": [1, 1, 1, 1]})
    steps = [("BatchNormalization", f"x {NORMALIZE}", "a"), conv]
    constants = {"w": numbers(4, 2, 3, 3), **normalization()}
    untouched("fold_batch_normalization", graph(steps, constants))
    constants |= {"bias": np.zeros(2), "mean": np.zeros(2)}
    assert ops(after("fold_batch_normalization", graph(steps, constants))) == ["Conv"]


def test_a_tensor_that_others_read_keeps_its_value() -> None:
    steps = [("Conv", "x w", "a"), ("BatchNormalization", f"a {NORMALIZE}", "b"), ("Add", "a b", "y")]
    untouched("fold_batch_normalization", graph(steps, {"w": numbers(2, 2, 3, 3), **normalization()}))
