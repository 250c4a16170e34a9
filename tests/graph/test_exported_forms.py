"""What PyTorch exports of blocks that many networks have, in no more nodes than the best tool leaves."""

from __future__ import annotations

from collections import Counter

import numpy as np

from modelbuild.chips.load import load_recipe
from modelbuild.graph import guard
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from tests.graph.small import Step, graph, numbers, ops


def normal(steps: list[Step], constants: dict[str, object], **inputs: tuple[int, ...]) -> Graph:
    before = graph(steps, constants, **inputs)
    found, _ = normalise(before)
    guard.check(before, found)
    return found


def layer_norm(source: str, made: str) -> list[Step]:
    return [
        ("ReduceMean", source, f"{made}_mean", {"axes": [-1]}),
        ("Sub", f"{source} {made}_mean", f"{made}_centred"),
        ("Pow", f"{made}_centred two", f"{made}_square"),
        ("ReduceMean", f"{made}_square", f"{made}_variance", {"axes": [-1]}),
        ("Add", f"{made}_variance epsilon", f"{made}_sum"),
        ("Sqrt", f"{made}_sum", f"{made}_deviation"),
        ("Div", f"{made}_centred {made}_deviation", f"{made}_normal"),
        ("Mul", f"{made}_normal scale", f"{made}_scaled"),
        ("Add", f"{made}_scaled shift", made),
    ]


def test_queries_keys_and_values_are_one_gather_each() -> None:
    """3 of onnxsim and onnxslim."""
    steps: list[Step] = [("Transpose", "x", "t", {"perm": [2, 0, 3, 1, 4]})]
    steps += [("Gather", f"t i{index}", name) for index, name in enumerate("qkv")]
    steps += [
        ("Transpose", "k", "kt", {"perm": [0, 1, 3, 2]}),
        ("MatMul", "q kt", "a"),
        ("Softmax", "a", "s", {"axis": -1}),
        ("MatMul", "s v", "y"),
    ]
    indices: dict[str, object] = {f"i{index}": np.array(index, np.int64) for index in range(3)}
    found = Counter(ops(normal(steps, indices, x=(1, 6, 3, 2, 4))))
    assert found["Gather"] == 3 and not found["Slice"] and not found["Reshape"]


def test_a_mean_over_the_picture_before_a_classifier_is_one_node() -> None:
    """`x.mean([2, 3])` of ShuffleNet."""
    steps: list[Step] = [
        ("Conv", "x w", "a"),
        ("ReduceMean", "a", "m", {"axes": [2, 3], "keepdims": 0}),
        ("Gemm", "m v", "y"),
    ]
    assert ops(normal(steps, {"w": numbers(3, 2, 1, 1), "v": numbers(3, 5)})) == [
        "Conv",
        "ReduceMean",
        "Gemm",
    ]


def test_a_normalization_between_transposes_is_recognised_whole() -> None:
    """ConvNeXt. Where a chip takes it apart, its parts work on the data as they lie, without a Transpose."""
    constants: dict[str, object] = {
        "w": numbers(3, 2, 1, 1), "v": numbers(3, 3, 1, 1), "two": 2.0, "epsilon": 1e-5,
        "scale": numbers(3), "shift": numbers(3, seed=2),
    }  # fmt: skip
    steps: list[Step] = [
        ("Conv", "x w", "a"),
        ("Transpose", "a", "b", {"perm": [0, 2, 3, 1]}),
        *layer_norm("b", "c"),
        ("Transpose", "c", "d", {"perm": [0, 3, 1, 2]}),
        ("Conv", "d v", "y"),
    ]
    found = normal(steps, constants)
    assert ops(found) == ["Conv", "Transpose", "LayerNormalization", "Transpose", "Conv"]
    lowered, _ = run_passes(found, load_recipe("kl720").passes)
    guard.check(found, lowered)
    assert "Transpose" not in ops(lowered) and "LayerNormalization" not in ops(lowered)
