"""Filters of a resize as parts of their matrices, or as cells that are picked."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.graph.model import Graph
from modelbuild.graph.passes.banded_matmul_to_parts import COLUMNS
from modelbuild.samples.resample import matrix
from tests.graph.small import after, graph, numbers, only, ops, untouched

PASS = "banded_matmul_to_parts"
TURN = {"perm": [0, 1, 3, 2]}


def product(filter_: np.ndarray, rows: int = 3) -> Graph:
    return graph([("MatMul", "x m", "y")], {"m": filter_}, x=(1, 2, rows, len(filter_)))


@pytest.mark.parametrize(("source", "size"), [(160, 63), (320, 67)])
@pytest.mark.parametrize("kernel", ["bilinear", "area"])
def test_a_band_is_multiplied_in_parts(source: int, size: int, kernel: str) -> None:
    found = after(PASS, product(matrix(source, size, kernel)))
    parts = -(-size // COLUMNS)
    assert ops(found) == ["Slice", "MatMul"] * parts + ["Concat"]
    weights = [found.constants[node.inputs[1]] for node in found.nodes if node.op == "MatMul"]
    assert sum(each.size for each in weights) * 3 <= source * size
    assert found.nodes[-1].name == "matmul_0" and {node.origin for node in found.nodes} == {("matmul_0",)}


@pytest.mark.parametrize(("source", "size"), [(640, 320), (320, 80), (160, 64), (96, 60), (48, 36)])
@pytest.mark.parametrize("kernel", ["bilinear", "area"])
@pytest.mark.parametrize("down", [False, True])
def test_a_filter_of_periods_is_a_convolution(source: int, size: int, kernel: str, down: bool) -> None:
    """Along either axis, without a Transpose, to the values of the product."""
    filter_ = matrix(source, size, kernel)
    rows = 60 if source == 640 else 5
    given = product(filter_, rows)
    if down:
        steps = [("Transpose", "x", "a", TURN), ("MatMul", "a m", "b"), ("Transpose", "b", "y", TURN)]
        given = graph(steps, {"m": filter_}, x=(1, 2, source, rows))
    found = after(PASS, given)
    listed = ["Conv"] + ["Mul"] * (kernel == "bilinear")
    turned = ["Reshape", "Transpose", "Reshape"] if source % size else []
    apart = [*["Slice", *listed] * 2, "Concat"] if source == 640 else listed + ["Identity"] * (not turned)
    assert ops(found) == apart + turned
    for conv in (node for node in found.nodes if node.op == "Conv"):
        sides = conv.ints("kernel_shape", [])
        assert min(sides) == 1 and max(sides) >= 4 and (sides[1] == 1) == down


def test_cells_are_picked() -> None:
    found = after(PASS, product(matrix(9, 5, "nearest")))
    node = only(found, "Gather")
    assert ops(found) == ["Gather"] and node.attributes["axis"] == 3
    assert found.constants[node.inputs[1]].tolist() == [0, 2, 4, 6, 8]


def test_between_transposes_the_other_axis_is_picked() -> None:
    steps = [("Transpose", "x", "a", TURN), ("MatMul", "a m", "b"), ("Transpose", "b", "y", TURN)]
    found = after(PASS, graph(steps, {"m": matrix(9, 5, "nearest")}, x=(1, 2, 9, 4)))
    assert ops(found) == ["Gather"] and found.nodes[0].attributes["axis"] == 2
    assert found.nodes[0].origin == ("transpose_0", "matmul_1", "transpose_2")
    other = {"perm": [0, 2, 3, 1]}
    steps[2] = ("Transpose", "b", "y", other)
    found = after(PASS, graph(steps, {"m": matrix(9, 5, "nearest")}, x=(1, 2, 9, 4)))
    assert ops(found) == ["Transpose", "Gather", "Transpose"]


@pytest.mark.parametrize(
    "filter_",
    [numbers(64, 32), matrix(20, 16, "bilinear"), np.eye(8, dtype=np.float32) * 2],
    ids=["no zeros", "too few to win", "twos"],
)
def test_what_is_no_band_stays(filter_: np.ndarray) -> None:
    untouched(PASS, product(filter_))


def test_a_part_may_pick_cells() -> None:
    filter_ = matrix(160, 63, "area")
    filter_[:, :COLUMNS] = np.eye(160, COLUMNS)
    assert ops(after(PASS, product(filter_)))[:3] == ["Gather", "Slice", "MatMul"]
    assert "Gather" in ops(after(PASS, product(matrix(101, 90, "area"))))


def test_a_column_of_zeros() -> None:
    filter_ = matrix(160, 63, "bilinear")
    filter_[:, 7] = 0
    after(PASS, product(filter_))
