"""BatchNormalization without a neighbour to fold into."""

from __future__ import annotations

from tests.graph.small import after, graph, normalization, ops

STEP = ("BatchNormalization", "x scale bias mean variance", "y")


def test_on_pictures_it_is_a_depthwise_conv() -> None:
    result = after("batch_normalization_to_conv", graph([STEP], normalization()))
    assert ops(result) == ["Conv"]
    assert result.nodes[0].attributes["group"] == 2


def test_on_signals_too() -> None:
    result = after("batch_normalization_to_conv", graph([STEP], normalization(), x=(1, 2, 5)))
    assert ops(result) == ["Conv"] and result.nodes[0].attributes["kernel_shape"] == [1]


def test_on_other_ranks_it_is_mul_and_add() -> None:
    for shape in ((3, 2), (1, 2, 2, 2, 2)):
        result = after("batch_normalization_to_conv", graph([STEP], normalization(), x=shape))
        assert ops(result) == ["Mul", "Add"]
