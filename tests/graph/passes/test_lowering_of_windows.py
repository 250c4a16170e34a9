"""Windows that a chip lacks, in terms of those that it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.passes import run_passes
from tests.graph.small import after, graph, numbers, only, ops, untouched


def convolution(shape: tuple[int, ...], weights: Any, **attributes: Any) -> Any:
    full = {"kernel_shape": list(weights.shape[2:]), "pads": [0] * 2 * (weights.ndim - 2), **attributes}
    return graph([("Conv", "x w b", "y", full)], {"w": weights, "b": numbers(weights.shape[0])}, x=shape)


def test_holes_become_zeros() -> None:
    before = convolution((1, 2, 9, 9), numbers(3, 2, 3, 2), dilations=[2, 3], pads=[1, 2, 0, 1])
    result = after("dilated_to_dense", before, 5)
    conv = only(result, "Conv")
    assert conv.attributes["kernel_shape"] == [5, 4] and conv.attributes["dilations"] == [1, 1]
    assert np.count_nonzero(result.constants[conv.inputs[1]]) == 3 * 2 * 6
    untouched("dilated_to_dense", before, 4)
    untouched("dilated_to_dense", convolution((1, 2, 9, 9), numbers(3, 2, 3, 3)))


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [3, 3, 3, 3], [1, 4, 0, 6]])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
@pytest.mark.parametrize("group", [1, 2])
def test_a_large_kernel_is_a_sum_of_small_ones(pads: list[int], strides: list[int], group: int) -> None:
    weights = numbers(4, 2 // group, 7, 5)
    before = convolution((1, 2, 12, 11), weights, pads=pads, strides=strides, group=group)
    result = after("large_kernel_to_small", before, 3)
    convs = [node for node in result.nodes if node.op == "Conv"]
    assert len(convs) == 6 and ops(result).count("Add") == 5
    assert max(max(node.ints("kernel_shape", [])) for node in convs) == 3
    assert sum(len(node.inputs) == 3 for node in convs) == 1  # one bias
    assert sum(result.constants[node.inputs[1]].size for node in convs) == weights.size


def test_of_a_signal() -> None:
    before = convolution((1, 2, 40), numbers(3, 2, 25), pads=[12, 12])
    assert ops(after("large_kernel_to_small", before)).count("Conv") == 3


def test_small_kernels_and_parts_beside_the_picture_stay() -> None:
    untouched("large_kernel_to_small", convolution((1, 2, 9, 9), numbers(3, 2, 7, 7)), 7)
    untouched("large_kernel_to_small", convolution((1, 1, 2, 2), numbers(1, 1, 9, 9), pads=[4] * 4), 3)


@pytest.mark.parametrize(("op", "part"), [("GlobalAveragePool", "AveragePool"), ("GlobalMaxPool", "MaxPool")])
def test_global_pools_of_large_pictures(op: str, part: str) -> None:
    result = after("split_global_pool", graph([(op, "x", "y")], x=(1, 2, 24, 7)), 7)
    assert ops(result) == [part, op]
    assert result.nodes[0].attributes["kernel_shape"] == [6, 1]
    assert ops(after("split_global_pool", graph([(op, "x", "y")], x=(1, 1, 64, 48)), 4)) == [part, part, op]


def test_global_pools_that_fit_or_cannot_be_split_stay() -> None:
    untouched("split_global_pool", graph([("GlobalAveragePool", "x", "y")], x=(1, 2, 16, 16)))
    untouched("split_global_pool", graph([("GlobalAveragePool", "x", "y")], x=(1, 2, 17, 4)))


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
        {"strides": [2, 3], "pads": [0, 0, 0, 0]},
        {"strides": [3, 2], "pads": [2, 0, 1, 2]},
        {"strides": [1, 1], "pads": [1, 0, 2, 1]},
        {"strides": [2, 2], "dilations": [2, 1], "pads": [1, 1, 0, 0]},
        {"strides": [4, 4], "pads": [3, 3, 3, 3]},  # crops
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "group": 2},
    ],
)
def test_a_transposed_convolution(attributes: dict[str, Any]) -> None:
    weights = numbers(4, 3, 3, 3)
    before = graph(
        [("ConvTranspose", "x w b", "y", attributes)],
        {"w": weights, "b": numbers(3 * attributes.get("group", 1))},
        x=(1, 4, 5, 4),
    )
    result = after("conv_transpose_to_conv", before)
    assert "ConvTranspose" not in ops(result) and ops(result).count("Conv") == 1
    assert ("Resize" in ops(result)) == (max(attributes["strides"]) > 1)


def test_shared_weights_get_copies() -> None:
    steps = [("Conv", "x w", "a"), ("Conv", "a w", "b"), ("Conv", "b w", "y")]
    result = after("duplicate_shared_weights", graph(steps, {"w": numbers(2, 2, 1, 1)}))
    assert len({node.inputs[1] for node in result.nodes}) == 3
    untouched("duplicate_shared_weights", graph(steps[:1], {"w": numbers(2, 2, 1, 1)}))


def test_a_limit_in_a_recipe_s_list() -> None:
    before = graph([("GlobalAveragePool", "x", "y")], x=(1, 2, 8, 8))
    result, rows = run_passes(before, ["split_global_pool(4)"])
    assert ops(result) == ["AveragePool", "GlobalAveragePool"] and rows[0].name == "split_global_pool"
    for entry in ("split_global_pool(0)", "split_to_slice(3)"):
        with pytest.raises(ModelbuildError, match="the pass `split_"):
            run_passes(before, [entry])
