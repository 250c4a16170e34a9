"""An operator of another domain means what that domain says, whatever it is called."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.graph.model import Graph
from modelbuild.graph.passes import PASSES
from modelbuild.graph.rewrite import copied
from tests.graph.small import Step, graph, normalization, numbers

SLICE = {"s": [0], "e": [1], "a": [2], "t": [1]}
NHWC, NCHW = {"perm": [0, 2, 3, 1]}, {"perm": [0, 3, 1, 2]}
KERNEL = {"w": numbers(2, 2, 1, 1)}
# pass -> a graph that it rewrites where all operators are standard, and the node that is foreign
CASES: dict[str, tuple[list[Step], dict[str, Any], int]] = {
    "merge_slices": ([("Slice", "x s e a t", "b"), ("Slice", "b s e a t", "y")], SLICE, 1),
    "merge_concats": (
        [("Concat", "x x", "b", {"axis": 1}), ("Concat", "b x", "y", {"axis": 1})], {}, 1
    ),
    "fold_pad": (
        [("Pad", "x p", "b"), ("Conv", "b w", "y")], {"p": [0, 0, 1, 1, 0, 0, 1, 1], **KERNEL}, 1
    ),
    "fold_scale_and_shift": ([("Mul", "x c", "b"), ("Conv", "b w", "y")], {"c": 2.0, **KERNEL}, 1),
    "fold_batch_normalization": (
        [("BatchNormalization", "x scale bias mean variance", "b"), ("Conv", "b w", "y")],
        {**normalization(), **KERNEL},
        1,
    ),
    "operator_between_reshapes": (
        [("Reshape", "x q", "b"), ("Relu", "b", "c"), ("Reshape", "c q", "y")], {"q": [2, 16]}, 2
    ),
    "push_transposes": (
        [("Transpose", "x", "b", NHWC), ("Relu", "b", "c"), ("Transpose", "c", "y", NCHW)], {}, 1
    ),
    "matmul_to_gemm": (
        [("Gemm", "x v", "b", {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}), ("Add", "b c", "y")],
        {"v": numbers(3, 4), "c": 1.0},
        1,
    ),
}  # fmt: skip


def built(name: str) -> Graph:
    steps, constants, _ = CASES[name]
    return graph(steps, constants, x=(2, 4) if name == "matmul_to_gemm" else (1, 2, 4, 4))


@pytest.mark.parametrize("name", CASES)
def test_it_is_left_alone(name: str) -> None:
    standard, foreign = built(name), built(name)
    assert PASSES[name].run(copied(standard)) > 0
    foreign.nodes[CASES[name][2]].domain = "elsewhere"
    assert PASSES[name].run(foreign) == 0
