"""Arrays that are one value in memory: what is made of them is what is made of full ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild.graph import large, onnx_io, serial
from modelbuild.graph.constant_operators import evaluate
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import run_passes
from modelbuild.graph.repeated import distinct, each_distinct, is_repeated
from modelbuild.graph.session import FloatSession
from tests.graph.small import after, graph, numbers, ops, untouched

SHAPE = (8, 2, 3, 3)
PADS = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}


def repeated(value: float, dtype: str = "float32") -> np.ndarray:
    return np.broadcast_to(np.array(value, dtype), SHAPE)


def convolution(weights: np.ndarray) -> Graph:
    found = graph([("Conv", "x w", "y", PADS)], {"w": numbers(*SHAPE)})
    found.constants["w"] = weights
    return found


def test_what_is_repeated_and_what_stands_for_it() -> None:
    assert is_repeated(repeated(2)) and not is_repeated(np.ones(3))
    assert distinct(repeated(2)).shape == (1, 1, 1, 1) and distinct(repeated(2)).item() == 2
    every = numbers(2, 3)
    assert distinct(every) is every
    assert distinct(np.array(4.0)).item() == 4  # no dimension at all
    row = np.broadcast_to(numbers(1, 3), (2, 3))
    assert not is_repeated(row) and distinct(row) is row


def test_a_function_of_what_is_repeated_is_asked_once() -> None:
    seen: list[int] = []

    def doubled(values: np.ndarray) -> np.ndarray:
        seen.append(values.size)
        return values.astype(np.float64) * 2

    for given in (repeated(3), numbers(2, 3), np.array(4.0)):
        made = each_distinct(given, doubled)
        assert made.dtype == np.float64 and np.array_equal(made, given * 2.0)
    assert seen == [1, 6, 1] and is_repeated(each_distinct(repeated(3), doubled))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int8", "bool"])
def test_constant_of_shape_holds_one_value(dtype: str) -> None:
    node = Node("ConstantOfShape", "n", ["s"], ["y"], {"value": np.array([1], dtype)})
    (made,) = evaluate(node, [np.array([4, 5])]) or ()
    assert is_repeated(made) and made.dtype == dtype and np.array_equal(made, np.ones((4, 5), dtype))
    (scalar,) = evaluate(node, [np.array([], np.int64)]) or ()
    assert scalar.shape == () and scalar.item() == 1
    (empty,) = evaluate(node, [np.array([0, 3])]) or ()
    assert empty.shape == (0, 3)
    with pytest.raises(ValueError):
        evaluate(node, [np.array([-1])])


def test_of_undefined_numbers_there_is_one_form() -> None:
    odd = np.array([0x7FC00001], np.uint32).view(np.float32)
    (made,) = evaluate(Node("ConstantOfShape", "n", ["s"], ["y"], {"value": odd}), [np.array([2, 2])]) or ()
    assert made.view(np.uint32).tolist() == [[0x7FC00000] * 2] * 2


def test_a_quarter_of_a_gigabyte_of_one_value_takes_no_memory() -> None:
    found = graph(
        [("ConstantOfShape", "s", "w"), ("Add", "x w", "y")], {"s": np.array([2**13, 2**13])}, x=(1,)
    )
    made, _ = run_passes(found, ["fold_constants"])
    assert made.constants["w"].nbytes == 2**28 and is_repeated(made.constants["w"])


def test_files_hold_every_value(tmp_path: Path) -> None:
    lean, full = convolution(repeated(0.5)), convolution(np.full(SHAPE, 0.5, np.float32))
    assert bytes(serial.data(lean.constants["w"])) == bytes(serial.data(full.constants["w"]))
    assert onnx_io.to_bytes(lean) == onnx_io.to_bytes(full)
    assert onnx_io.to_model(lean).SerializeToString() == onnx_io.to_model(full).SerializeToString()
    onnx_io.write(lean, tmp_path / "lean.onnx")
    assert np.array_equal(onnx_io.read(tmp_path / "lean.onnx").constants["w"], full.constants["w"])
    for name, found in (("lean", lean), ("full", full)):
        model = onnx_io._to_model(found, large.place_holders(found.constants))
        large.write(tmp_path / name, model, found.constants)
    assert (tmp_path / "lean").read_bytes() == (tmp_path / "full").read_bytes()


def test_onnxruntime_gets_every_value() -> None:
    given = {"x": numbers(1, 2, 4, 4)}
    lean, full = (
        FloatSession(convolution(w)).run(given) for w in (repeated(0.5), np.full(SHAPE, 0.5, np.float32))
    )
    assert np.array_equal(lean["y"], full["y"]) and np.ptp(lean["y"]) > 0


def test_passes_make_the_same_of_both() -> None:
    steps = [("ConstantOfShape", "s", "w"), ("Add", "w c", "v"), ("Conv", "x v", "y", PADS)]
    lean = graph(steps, {"s": np.array(SHAPE), "c": numbers(1, 2, 1, 1)})
    made, _ = run_passes(lean, ["fold_constants"])
    assert ops(made) == ["Conv"]
    assert np.array_equal(made.constants["v"], np.broadcast_to(numbers(1, 2, 1, 1), SHAPE))


def test_duplicates_are_told_by_their_bits() -> None:
    steps = [("Add", "x c", "a"), ("Add", "x d", "b"), ("Mul", "a b", "y")]

    def found(c: float, d: float) -> Graph:
        result = graph(steps, {"c": numbers(8, 2, 3, 3), "d": numbers(8, 2, 3, 3)}, x=SHAPE)
        result.constants |= {"c": repeated(c), "d": repeated(d)}
        return result

    assert ops(after("merge_duplicates", found(2, 2))) == ["Add", "Mul"]
    untouched("merge_duplicates", found(2, 3))
    untouched("merge_duplicates", found(0.0, -0.0))
    mixed = found(2, 2)
    mixed.constants["d"] = np.full(SHAPE, 2, np.float32)
    assert ops(after("merge_duplicates", mixed)) == ["Add", "Mul"]
    late = numbers(2, 64, 64)  # alike for longer than is looked at first
    other = late.copy()
    other[1, 63, 63] = 9
    untouched("merge_duplicates", graph(steps, {"c": late, "d": other}, x=(2, 64, 64)))
