"""What is left of Transposes and Gathers, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.graph.normalise import normalise
from modelbuild.graph.surviving import surviving
from tests.graph.small import Step, graph, numbers


def reasons(steps: list[Step], constants: dict[str, object] | None = None) -> list[str]:
    result, _ = normalise(graph(steps, constants))
    return [reason for _, reason in surviving(result)]


def test_each_reason() -> None:
    last = {"perm": [0, 2, 3, 1]}
    conv: Step = ("Conv", "x w", "c")
    weights = {"w": numbers(4, 2, 1, 1)}
    (output,) = reasons([conv, ("Transpose", "c", "y", last)], weights)
    assert output == "[1, 4, 4, 4] to [1, 4, 4, 4] (axes [0, 2, 3, 1]): the model's output `y` has this order"
    other = {"w": numbers(3, 4, 1, 1)}
    (given,) = reasons([("Transpose", "x", "t", {"perm": [0, 3, 1, 2]}), ("Conv", "t w", "y")], other)
    assert given.endswith("the model's input `x` comes in the other order")
    (joined,) = reasons(
        [conv, ("Transpose", "c", "t", last), ("Reshape", "t s", "y")], {**weights, "s": [1, 32, 2]}
    )
    assert joined.endswith("the Reshape `reshape_2` joins axes that lie apart without it")
    shuffle: list[Step] = [
        conv, ("Reshape", "c a", "r"), ("Transpose", "r", "t", {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", "t b", "s"), ("Conv", "s v", "y"),
    ]  # fmt: skip
    sizes = {**weights, "a": [1, 2, 2, 4, 4], "b": [1, 4, 4, 4], "v": numbers(2, 4, 1, 1)}
    assert "channel shuffle" in reasons(shuffle, sizes)[0]
    (product,) = reasons(
        [conv, ("Transpose", "c", "t", {"perm": [0, 1, 3, 2]}), ("MatMul", "c t", "y")], weights
    )
    assert product.endswith("Conv `conv_0` makes one order and MatMul `matmul_2` works in the other")


def test_gathers() -> None:
    odd = {"i": np.array([0, 1, 3], np.int64)}
    assert reasons([("Gather", "x i", "y", {"axis": 3})], odd) == [
        "the 3 cells that it takes are not evenly spaced, so that no Slice takes them"
    ]
    one: dict[str, object] = {"i": np.array(1, np.int64)}
    assert reasons([("Gather", "x i", "y", {"axis": 1})], one) == [
        "it takes one cell and its axis away, for which a Slice needs a Reshape beside it"
    ]
    steps: list[Step] = [("ArgMax", "x", "i", {"axis": 1, "keepdims": 0}), ("Gather", "t i", "y")]
    assert reasons(steps, {"t": numbers(4, 3)}) == ["it looks the tensor `i` up in a table"]


@pytest.mark.parametrize(
    ("name", "transposes"),
    [("nanodet_m_416", 22), ("ultraface_rfb_320", 8), ("yolox_nano", 1), ("yunet_n_320", 6)],
)
def test_real_models(shared_data: Path, name: str, transposes: int) -> None:
    result, _ = normalise(importers.load(shared_data / f"models/onnx/{name}.onnx"))
    found = surviving(result)
    assert len(found) == transposes and {node.op for node, _ in found} == {"Transpose"}
    assert all(": " in reason for _, reason in found)
