"""Constants are computed as ONNX's own reference implementation does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from modelbuild.graph.constant_operators import evaluate, ordered_sum
from modelbuild.graph.model import Node
from modelbuild.graph.session import FloatSession
from tests.graph.small import graph, numbers

X = numbers(2, 3, 4)
WHOLE = np.arange(-5, 7).reshape(3, 4)
CASES: list[tuple[str, list[Any], dict[str, Any], int]] = [
    ("Add", [X, numbers(4)], {}, 1),
    ("Sub", [X, numbers(3, 1)], {}, 1),
    ("Mul", [X, X], {}, 1),
    ("Div", [X, numbers(4)], {}, 1),
    ("Div", [WHOLE, np.array(3)], {}, 1),
    ("Div", [WHOLE, np.array(-3)], {}, 1),
    ("Mod", [WHOLE, np.array(3)], {}, 1),
    ("Mod", [WHOLE, np.array(3)], {"fmod": 1}, 1),
    ("Pow", [X, np.float32(2)], {}, 1),
    ("Cast", [X * 5], {"to": TensorProto.INT32}, 1),
    ("Cast", [WHOLE], {"to": TensorProto.BOOL}, 1),
    ("Clip", [X, np.float32(-0.2), np.float32(0.3)], {}, 1),
    ("Concat", [X, X], {"axis": -1}, 1),
    ("ConstantOfShape", [np.array([2, 3])], {"value": np.array([7], np.int64)}, 1),
    ("Expand", [numbers(3, 1), np.array([2, 1, 4])], {}, 1),
    ("Flatten", [X], {"axis": 2}, 1),
    ("Flatten", [X], {"axis": 0}, 1),
    ("Gather", [X, np.array([[0, -1]])], {"axis": 1}, 1),
    ("Gather", [X, np.array(1)], {"axis": 0}, 1),
    ("Max", [X, -X, np.float32(0)], {}, 1),
    ("Neg", [X], {}, 1),
    ("Pad", [X, np.array([0, 1, 0, 2, 0, 1]), np.float32(3)], {}, 1),
    ("Range", [np.array(1), np.array(10), np.array(3)], {}, 1),
    ("Range", [np.array(5), np.array(0), np.array(-2)], {}, 1),
    ("ReduceProd", [WHOLE], {"axes": [1], "keepdims": 0}, 1),
    ("ReduceMax", [X], {"axes": [1]}, 1),
    ("ReduceSum", [WHOLE, np.array([0])], {}, 1),
    ("Reshape", [X, np.array([0, -1])], {}, 1),
    ("Round", [X * 5], {}, 1),
    ("Slice", [X, np.array([1]), np.array([99]), np.array([2]), np.array([2])], {}, 1),
    ("Slice", [X, np.array([-1]), np.array([-99]), np.array([2]), np.array([-1])], {}, 1),
    ("Slice", [X, np.array([3]), np.array([0]), np.array([2]), np.array([-2])], {}, 1),
    ("Split", [X, np.array([1, 3])], {"axis": 2}, 2),
    ("Split", [X], {"axis": 2}, 2),
    ("Squeeze", [numbers(1, 3, 1)], {}, 1),
    ("Squeeze", [numbers(1, 3, 1), np.array([-1])], {}, 1),
    ("Tile", [X, np.array([1, 2, 1])], {}, 1),
    ("Transpose", [X], {}, 1),
    ("Transpose", [X], {"perm": [1, 2, 0]}, 1),
    ("Unsqueeze", [X, np.array([0, -1])], {}, 1),
    ("Where", [X > 0, X, np.float32(0)], {}, 1),
    ("CumSum", [WHOLE, np.array(1)], {}, 1),
    ("CumSum", [WHOLE, np.array(0)], {"exclusive": 1, "reverse": 1}, 1),
    ("EyeLike", [WHOLE], {"k": 1, "dtype": TensorProto.FLOAT}, 1),
    ("GatherElements", [WHOLE, np.array([[0, -1], [1, 2], [3, 3]])], {"axis": 1}, 1),
    ("GatherND", [X, np.array([[0, 1], [1, 2]])], {}, 1),
    ("OneHot", [np.array([0, 2, -1]), np.array(4), np.float32([0.5, 2])], {"axis": 0}, 1),
    ("ScatterElements", [WHOLE, np.argsort(-WHOLE, 0), WHOLE * 2], {"axis": 0}, 1),
    ("ScatterND", [WHOLE, np.array([[2], [0]]), np.array([[1, 2, 3, 4], [5, 6, 7, 8]])], {}, 1),
    ("Trilu", [WHOLE], {}, 1),
    ("Trilu", [WHOLE, np.array(-1)], {"upper": 0}, 1),
    ("Equal", [WHOLE, np.array(2)], {}, 1),
    ("Reciprocal", [X], {}, 1),
    ("Sqrt", [np.abs(X)], {}, 1),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "count"), CASES, ids=[case[0] for case in CASES])
def test_as_the_reference(op: str, inputs: list[Any], attributes: dict[str, Any], count: int) -> None:
    arrays = [np.asarray(item) for item in inputs]
    names, outputs = [f"i{i}" for i in range(len(arrays))], [f"o{i}" for i in range(count)]
    proto_attributes = {
        k: helper.make_tensor("v", TensorProto.INT64, [1], v) if isinstance(v, np.ndarray) else v
        for k, v in attributes.items()
    }
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in zip(names, arrays, strict=True)
    ]
    made = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs]
    model = helper.make_model(
        helper.make_graph([helper.make_node(op, names, outputs, **proto_attributes)], "g", values, made),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    expected = ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))
    found = evaluate(Node(op, "n", names, outputs, dict(attributes)), arrays)
    assert found is not None
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


@pytest.mark.parametrize("bounds", [(-100, -200, -1), (-9, -9, -1), (100, -2, -1), (-9, 2, 1), (2, -9, -2)])
def test_a_slice_from_beyond_an_axis_is_limited_to_it(bounds: tuple[int, int, int]) -> None:
    """As onnxruntime has it, and the definition: backwards from before the first cell is the first cell."""
    (start, end, step), whole = bounds, {"x": numbers(3, 5)}
    constants = {"s": [start], "e": [end], "a": [1], "d": [step]}
    model = graph([("Slice", "x s e a d", "y")], constants, x=(3, 5))
    found = evaluate(model.nodes[0], [whole["x"], *(model.constants[name] for name in "sead")])
    assert found is not None
    assert np.array_equal(found[0], FloatSession(model).run(whole)["y"])


def test_what_depends_on_a_math_library_or_the_order_of_a_sum_is_not_computed() -> None:
    assert evaluate(Node("Exp", "n", ["x"], ["y"]), [X]) is None
    assert evaluate(Node("ReduceSum", "n", ["x"], ["y"]), [X]) is None
    assert evaluate(Node("Pow", "n", ["x", "e"], ["y"]), [X, np.float32(1.3)]) is None


def test_a_cast_beyond_the_integers_is_not_computed() -> None:
    assert evaluate(Node("Cast", "n", ["x"], ["y"], {"to": TensorProto.INT32}), [np.float32([1e20])]) is None


def test_ordered_sum_adds_in_order() -> None:
    array = numbers(3, 4, 5).astype(np.float64)
    expected = np.zeros(4)
    for i in range(3):
        for j in range(5):
            expected = expected + array[i, :, j]
    assert np.array_equal(ordered_sum(array, (0, 2)), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("op", ["Clip", "Max", "Min", "ReduceMax", "ReduceMin", "Relu"])
def test_zero_has_one_sign_where_processors_choose(op: str, dtype: type[np.floating[Any]]) -> None:
    zeros = np.array([-0.0, 0.0] * 20, dtype)
    others: list[Any] = {"Clip": [dtype(0), dtype(6)], "Max": [zeros[::-1]], "Min": [zeros[::-1]]}.get(op, [])
    outputs = evaluate(Node(op, "n", ["x", "a", "b"], ["y"]), [zeros, *others])
    assert outputs is not None and outputs[0].dtype == dtype
    assert not np.signbit(np.asarray(outputs[0], dtype)).any()


def test_zero_keeps_its_sign_where_ieee_754_says_which() -> None:
    zeros = np.array([-0.0, 0.0], np.float32)
    for op, expected in (("Neg", [False, True]), ("Identity", [True, False]), ("Mul", [False, False])):
        inputs = [zeros, zeros] if op == "Mul" else [zeros]
        outputs = evaluate(Node(op, "n", ["x", "a"], ["y"]), inputs)
        assert outputs is not None and np.signbit(np.asarray(outputs[0], np.float32)).tolist() == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_not_a_number_has_one_form(sign: int) -> None:
    zeros, ones = np.zeros(3, np.float32), np.ones((), np.float32)
    outputs = evaluate(Node("Div", "n", ["x", "a"], ["y"]), [zeros, np.float32(sign) * zeros])
    assert outputs is not None and np.asarray(outputs[0]).view(np.uint32).tolist() == [0x7FC00000] * 3
    outputs = evaluate(Node("Div", "n", ["x", "a"], ["y"]), [ones, ones])
    assert outputs is not None and outputs[0].shape == () and outputs[0].dtype == np.float32
