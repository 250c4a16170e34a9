"""Shapes of every tensor, or the first that has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, shape_inference

from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from modelbuild.graph.model import Node
from tests.graph.small import Step, graph, numbers


def test_shape_arithmetic_reaches_a_reshape() -> None:
    steps: list[Step] = [("Shape", "x", "s"), ("Slice", "s a b", "n"), ("Concat", "n c", "t", {"axis": 0})]
    found = graph([*steps, ("Reshape", "x t", "y")], {"a": [0], "b": [2], "c": [-1]})
    assert found.shapes["y"] == (1, 2, 16)
    assert shapes.known_values(found)["t"].tolist() == [1, 2, -1]
    assert found.dtypes["s"] == np.int64


def test_a_shape_that_depends_on_data_names_the_tensor() -> None:
    with pytest.raises(
        ModelbuildError, match="the tensor `y`, made by NonZero `nonzero_0`, has no static shape"
    ):
        graph([("NonZero", "x", "y")])


def test_a_window_that_begins_behind_the_picture_is_left_out() -> None:
    attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [2, 2, 2, 1], "ceil_mode": 1}
    assert graph([("MaxPool", "x", "y", attributes)], x=(1, 1, 8, 6)).shapes["y"] == (1, 1, 5, 4)


def test_an_enormous_tensor_is_refused_without_being_made() -> None:
    with pytest.raises(ModelbuildError, match="at most"):
        graph([("Expand", "x n", "y")], {"n": [1, 2**30, 4, 4]}, x=(1, 1, 4, 4))
    with pytest.raises(ModelbuildError, match="at most"):
        graph([("ConstantOfShape", "n", "c"), ("Add", "x c", "y")], {"n": [2**40, 1, 1, 1]})


@pytest.mark.parametrize(
    ("step", "constants"),
    [
        (("Conv", "x w", "y"), {"w": numbers(3, 3, 1, 1)}),
        (("Concat", "x x", "y", {"axis": 7}), {}),
        (("Reshape", "x t", "y"), {"t": [3, -1]}),
        (("NoSuchOperator", "x", "y"), {}),
        (("Relu", "x", "y", {"alpha": 1.0}), {}),
        (("Slice", "x s e a", "y"), {"s": [4], "e": [4], "a": [2]}),
    ],
)
def test_a_node_that_does_not_fit_is_named(step: Step, constants: dict[str, object]) -> None:
    with pytest.raises(ModelbuildError, match=f"{step[0]} `{step[0].lower()}_0`"):
        graph([step], constants)


def _inferred(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operators for which ONNX's own inference is asked from now on."""
    asked: list[str] = []
    real = shape_inference.infer_node_outputs

    def noted(schema: Any, *given: Any, **further: Any) -> Any:
        asked.append(schema.name)
        return real(schema, *given, **further)

    monkeypatch.setattr(shape_inference, "infer_node_outputs", noted)
    monkeypatch.setattr(shapes, "_found", {})
    return asked


def test_equal_nodes_are_inferred_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _inferred(monkeypatch)
    found = graph([("Relu", "x", "a"), ("Relu", "a", "b"), ("Elu", "b", "y")])
    assert asked == ["Relu", "Elu"]
    shapes.infer(found)
    assert asked == ["Relu", "Elu"] and found.shapes["y"] == (1, 2, 4, 4)


@pytest.mark.parametrize(
    "other",
    [
        ("Elu", "x", "b", {"alpha": 2.0}),
        ("Selu", "x", "b"),
        ("Elu", "z", "b"),
    ],
)
def test_what_differs_is_inferred_again(monkeypatch: pytest.MonkeyPatch, other: Step) -> None:
    asked = _inferred(monkeypatch)
    steps = [("Elu", "x", "a", {"alpha": 1.0}), other]
    found = graph(steps, x=(1, 2), z=(3, 4, 5))
    assert len(asked) == 2 and found.shapes["b"] == found.shapes[other[1]]


def test_values_attributes_and_types_are_told_apart() -> None:
    for target in ([4, 8], [8, 4], [2, 16], [4, 8]):
        assert graph([("Reshape", "x s", "y")], {"s": target}).shapes["y"] == tuple(target)
    for axis, size in ((0, 2), (3, 8), (0, 2)):
        found = graph([("Concat", "x x", "y", {"axis": axis})])
        assert found.shapes["y"][axis] == size
    for kind in (TensorProto.INT32, TensorProto.FLOAT16, TensorProto.INT32):
        found = graph([("Cast", "x", "y", {"to": kind})])
        assert found.dtypes["y"] == helper.tensor_dtype_to_np_dtype(kind)
    for number in (np.float32(0), np.int64(0), np.float32(0)):
        steps = [("ConstantOfShape", "s", "c", {"value": np.array([number])}), ("Shape", "c", "y")]
        assert graph(steps, {"s": [2, 3]}).dtypes["c"] == number.dtype


def test_outputs_that_are_left_out_stay_out() -> None:
    for outputs in (["y", "i"], ["y", ""], ["y"], ["y", "i"]):
        found = graph([("MaxPool", "x", outputs, {"kernel_shape": [2, 2]})])
        made = {name for name in outputs if name}
        assert set(found.shapes) == {"x", *made} and all(found.shapes[n] == (1, 2, 3, 3) for n in made)


def test_a_wrong_node_is_wrong_each_time_under_its_own_name() -> None:
    for name in ("first", "second"):
        node = Node("Conv", name, ["x", "w"], ["y"], {"kernel_shape": [3, 3]})
        found = graph([("Relu", "x", "r")], {"w": np.zeros((2, 2, 3, 3))})
        found.constants["w"] = np.zeros((2, 5, 3, 3), np.float32)
        found.nodes = [node]
        with pytest.raises(ModelbuildError, match=name):
            shapes.infer(found)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_MOST_FOUND", 3)
    monkeypatch.setattr(shapes, "_found", {})
    for size in range(1, 9):
        graph([("Relu", "x", "y")], x=(1, size))
        assert 1 <= len(shapes._found) <= 3
