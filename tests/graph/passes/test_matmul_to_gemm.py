"""Fully connected layers in one form."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.small import after, graph, numbers, only, ops, untouched

FORM = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}


def test_matmul_and_bias() -> None:
    steps = [("MatMul", "x w", "m"), ("Add", "b m", "y")]
    result = after("matmul_to_gemm", graph(steps, {"w": numbers(6, 3), "b": numbers(1, 3)}, x=(2, 6)))
    gemm = only(result, "Gemm")
    assert ops(result) == ["Gemm"]
    assert gemm.attributes == FORM
    assert np.array_equal(result.constants[gemm.inputs[1]], numbers(6, 3).T)
    assert np.array_equal(result.constants[gemm.inputs[2]], numbers(3))
    assert gemm.origin == ("matmul_0", "add_1")


def test_leading_ones_go_into_reshapes() -> None:
    steps = [("MatMul", "x w", "m"), ("Add", "m b", "y")]
    before = graph(steps, {"w": numbers(6, 3), "b": numbers(3)}, x=(1, 1, 4, 6))
    result = after("matmul_to_gemm", before)
    assert ops(result) == ["Reshape", "Gemm", "Reshape"]


@pytest.mark.parametrize("transposed", [0, 1])
def test_alpha_and_beta_go_into_the_constants(transposed: int) -> None:
    weights = numbers(3, 6) if transposed else numbers(6, 3)
    attributes = {"transB": transposed, "alpha": 0.5, "beta": 2.0}
    before = graph([("Gemm", "x w b", "y", attributes)], {"w": weights, "b": np.ones(1)}, x=(2, 6))
    result = after("matmul_to_gemm", before)
    gemm = only(result, "Gemm")
    assert gemm.attributes == FORM
    assert result.constants[gemm.inputs[2]].tolist() == [2.0] * 3


def test_a_bias_a_row_and_a_batch_of_matrices_stay() -> None:
    gemm = ("Gemm", "x w b", "y", {"transB": 1})
    untouched("matmul_to_gemm", graph([gemm], {"w": numbers(3, 6), "b": numbers(2, 3)}, x=(2, 6)))
    untouched("matmul_to_gemm", graph([("MatMul", "x w", "y")], {"w": numbers(6, 3)}, x=(2, 4, 6)))
    untouched("matmul_to_gemm", graph([("MatMul", "a b", "y")], a=(2, 3), b=(3, 2)))


@pytest.mark.parametrize(
    ("shape", "expected"), [((2, 6), ["Gemm", "Reshape"]), ((2, 4, 6), ["MatMul", "Reshape"])]
)
def test_a_vector_of_weights_is_one_column(shape: tuple[int, ...], expected: list[str]) -> None:
    result = after("matmul_to_gemm", graph([("MatMul", "x w", "y")], {"w": numbers(6)}, x=shape))
    assert ops(result) == expected
    assert result.shapes["y"] == shape[:-1]


def test_a_transposed_input_is_transposed_before() -> None:
    attributes = {"transA": 1, "alpha": 0.5}
    result = after(
        "matmul_to_gemm", graph([("Gemm", "x w", "y", attributes)], {"w": numbers(6, 3)}, x=(6, 2))
    )
    assert ops(result) == ["Transpose", "Gemm"]
    assert only(result, "Gemm").attributes == FORM


def test_a_bias_goes_into_the_one_form_only() -> None:
    """Computed weights may lie the other way round, and beta would be a factor of the bias."""
    steps = [("Relu", "v", "w"), ("Gemm", "x w", "a", {"beta": 0.5}), ("Add", "a c", "y")]
    untouched("matmul_to_gemm", graph(steps, {"c": 2.0}, x=(2, 3), v=(3, 4)))
