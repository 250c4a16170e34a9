"""Running float graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.graph.session import FloatSession, Many
from tests.graph.small import graph, numbers

STEPS = [("Relu", "x", "a"), ("Shape", "x", "s"), ("Neg", "a", "y")]
X = numbers(1, 2, 4, 4)


def test_outputs_all_and_by_name(tmp_path: Path) -> None:
    model = graph(STEPS)
    onnx_io.write(model, tmp_path / "m.onnx")
    for source in (model, tmp_path / "m.onnx"):
        assert set(FloatSession(source).run({"x": X})) == {"y"}
        everything = FloatSession(source, "all").run({"x": X})
        assert set(everything) == {"y", "a"}  # no integers
        assert np.array_equal(everything["a"], np.maximum(X, 0))
        assert set(FloatSession(source, ["a", "s"]).run({"x": X})) == {"a", "s"}


def test_a_pad_with_zeros_before_a_max_pool_of_negative_values_is_computed_as_written() -> None:
    steps = [("Pad", "x p", "a"), ("MaxPool", "a", "y", {"kernel_shape": [2, 2], "strides": [2, 2]})]
    model = graph(steps, {"p": [0, 0, 1, 1, 0, 0, 1, 1]}, x=(1, 1, 2, 2))
    for many in (None, Many(optimized=True)):
        found = FloatSession(model, many=many).run({"x": np.full((1, 1, 2, 2), -1, np.float32)})
        assert found["y"].max() == 0


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "input `x` of `small` is missing"),
        ({"x": X[:, :1]}, r"\[1, 1, 4, 4\]"),
        ({"x": X.astype(np.float64)}, "float64"),
        ({"x": X, "z": X}, "no input `z`"),
    ],
)
def test_wrong_inputs_are_named(inputs: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(ModelbuildError, match=words):
        FloatSession(graph(STEPS)).run(inputs)


def test_an_unknown_output_and_an_unreadable_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelbuildError, match="no tensor `q`"):
        FloatSession(graph(STEPS), ["q"])
    (tmp_path / "m.onnx").write_bytes(b"garbage")
    with pytest.raises(ModelbuildError, match="cannot load"):
        FloatSession(tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")


def test_errors_of_a_files_bytes_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError, match=r"cannot load `.*m\.onnx`"):
        FloatSession(b"garbage", origin=tmp_path / "m.onnx")
