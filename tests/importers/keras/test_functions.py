"""Functions on tensors outside of layers, in the forms of Keras 2 (TFOpLambda) and Keras 3, against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.graph.normalise import normalise
from tests.importers.keras.judge import ACTIVATIONS, agree, difference, imported, run, softmax
from tests.importers.keras.test_shapes import bilinear
from tests.importers.keras.writer import (
    Array,
    Config,
    archive,
    called,
    functional,
    hdf5,
    lambda_layer,
    layer,
    numbers,
    operation,
    source,
    tensor,
)
from tests.importers.refused import matches, message

X, Z = numbers(1, 6, 7, 4, seed=9), numbers(1, 6, 7, 4, seed=3)
SLICE = {"start": None, "stop": None, "step": None}


class Case(NamedTuple):
    """One function: its name and arguments in both forms, and its result."""

    tensorflow: str
    arguments: dict[str, Any]
    keras: str
    settings: dict[str, Any]
    wanted: Any


def unary(tensorflow: str, keras: str, wanted: Any, **settings: Any) -> Case:
    return Case(tensorflow, settings, keras, settings, wanted)


CASES: tuple[Case, ...] = (
    unary("nn.relu6", "Relu6", ACTIVATIONS["relu6"](X)),
    unary("nn.silu", "Silu", ACTIVATIONS["silu"](X)),
    unary("nn.swish", "Swish", ACTIVATIONS["silu"](X)),
    unary("math.sigmoid", "Sigmoid", ACTIVATIONS["sigmoid"](X)),
    unary("math.tanh", "Tanh", np.tanh(X)),
    unary("math.square", "Square", X * X),
    unary("math.abs", "Absolute", np.abs(X)),
    unary("math.negative", "Negative", -X),
    unary("math.exp", "Exp", np.exp(X)),
    Case("nn.leaky_relu", {"alpha": 0.1}, "LeakyRelu", {"negative_slope": 0.1}, np.where(X > 0, X, 0.1 * X)),
    Case("nn.leaky_relu", {}, "LeakyRelu", {"negative_slope": 0.2}, np.where(X > 0, X, 0.2 * X)),
    Case("nn.elu", {}, "Elu", {"alpha": 1.0}, ACTIVATIONS["elu"](X)),
    unary("nn.gelu", "Gelu", ACTIVATIONS["gelu"](X), approximate=False),
    unary("nn.softmax", "Softmax", softmax(X, 1), axis=1),
    unary("nn.log_softmax", "LogSoftmax", np.log(softmax(X, 2)), axis=2),
    Case("clip_by_value", {"clip_value_min": 0, "clip_value_max": 0.5}, "Clip", {"x_min": 0, "x_max": 0.5},
         X.clip(0, 0.5)),
    Case("math.reduce_mean", {"axis": [1, 2], "keepdims": True}, "Mean", {"axis": [1, 2], "keepdims": True},
         X.mean((1, 2), keepdims=True)),
    Case("compat.v1.reduce_mean", {"reduction_indices": [1, 2], "keep_dims": False}, "Max", {"axis": -1},
         X.mean((1, 2))),
    Case("math.reduce_sum", {"axis": 3}, "Sum", {"axis": 3}, X.sum(3)),
    Case("math.reduce_max", {"axis": -1}, "Max", {"axis": -1, "initial": None}, X.max(-1)),
    Case("math.argmax", {"axis": 3, "output_type": "int64"}, "Argmax", {"axis": 3}, X.argmax(3)),
    Case("reshape", {"shape": [-1, 42, 4]}, "Reshape", {"newshape": [-1, 42, 4]}, X.reshape(1, 42, 4)),
    Case("transpose", {"perm": [0, 3, 1, 2]}, "Transpose", {"axes": [0, 3, 1, 2]}, X.transpose(0, 3, 1, 2)),
    Case("expand_dims", {"axis": 1}, "ExpandDims", {"axis": 1}, X[:, None]),
    Case("image.resize", {"size": [12, 14], "method": "bilinear"}, "Resize",
         {"size": [12, 14], "interpolation": "bilinear", "antialias": False, "data_format": None,
          "fill_mode": "constant", "fill_value": 0.0}, bilinear(X, 2)),
    Case("image.resize", {"size": [12, 14], "method": "nearest", "antialias": False}, "Resize",
         {"size": [12, 14], "interpolation": "nearest"}, X.repeat(2, 1).repeat(2, 2)),
    Case("compat.v1.image.resize_nearest_neighbor", {"size": [12, 14]}, "Repeat", {"repeats": 2, "axis": 1},
         X.repeat(2, 1).repeat(2, 2)),
    Case("tile", {"multiples": [1, 2, 1, 3]}, "Tile", {"repeats": [1, 2, 1, 3]}, np.tile(X, (1, 2, 1, 3))),
    Case("pad", {"paddings": [[0, 0], [1, 2], [0, 1], [0, 0]], "mode": "CONSTANT"}, "Pad",
         {"pad_width": [[0, 0], [1, 2], [0, 1], [0, 0]], "mode": "constant"},
         np.pad(X, ((0, 0), (1, 2), (0, 1), (0, 0)))),
    Case("reverse", {"axis": [1]}, "Flip", {"axis": 1}, X[:, ::-1]),
    Case("math.l2_normalize", {"axis": 3}, "Normalize", {"axis": 3, "order": 2, "epsilon": None},
         X / np.sqrt((X**2).sum(3, keepdims=True))),
    Case("nn.max_pool2d", {"ksize": [1, 2, 2, 1], "strides": 2, "padding": "VALID"}, "MaxPool",
         {"pool_size": 2, "strides": None, "padding": "valid", "data_format": "channels_last"},
         X[:, :, :6].reshape(1, 3, 2, 3, 2, 4).max((2, 4))),
    Case("nn.depth_to_space", {"block_size": 2}, "Identity", {},
         X.reshape(1, 6, 7, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(1, 12, 14, 1)),
    Case("cast", {"dtype": "float16"}, "Cast", {"dtype": "float32"}, X),
)  # fmt: skip
ONLY_KERAS_2 = {"compat.v1.reduce_mean", "compat.v1.image.resize_nearest_neighbor", "nn.depth_to_space"}


def check(path: Path, wanted: dict[str, Any], *feeds: Array) -> None:
    graph = importers.load(path)
    assert graph.outputs == list(wanted)
    for form in (graph, normalise(graph)[0]):
        for name, found in run(form, *feeds).items():
            assert (name, difference(found, wanted[name]) <= 1e-5) == (name, True)


def test_functions_of_one_tensor_in_keras_2(tmp_path: Path) -> None:
    names = [f"{case.tensorflow}_{index}" for index, case in enumerate(CASES)]
    layers = [
        lambda_layer(case.tensorflow, name, ["x", 0, 0, {**case.arguments, "name": None}])
        for name, case in zip(names, CASES, strict=True)
    ]
    path = hdf5(tmp_path / "m.h5", functional([source("x", 6, 7, 4), *layers], ["x"], names))
    check(path, {name: case.wanted for name, case in zip(names, CASES, strict=True)}, X)


def test_functions_of_one_tensor_in_keras_3(tmp_path: Path) -> None:
    cases = [case for case in CASES if case.tensorflow not in ONLY_KERAS_2]
    names = [f"{case.keras}_{index}" for index, case in enumerate(cases)]
    layers = [
        operation(case.keras, name, "x", **case.settings) for name, case in zip(names, cases, strict=True)
    ]
    path = archive(tmp_path / "m.keras", functional([source("x", 6, 7, 4), *layers], ["x"], names), {})
    check(path, {name: case.wanted for name, case in zip(names, cases, strict=True)}, X)


BINARY: tuple[tuple[str, str, Any], ...] = (
    ("math.add", "Add", lambda x, y: x + y),
    ("__operators__.add", "Add", lambda x, y: x + y),
    ("math.subtract", "Subtract", lambda x, y: x - y),
    ("math.multiply", "Multiply", lambda x, y: x * y),
    ("math.truediv", "TrueDivide", lambda x, y: x / y),
    ("math.maximum", "Maximum", np.maximum),
    ("math.minimum", "Minimum", np.minimum),
    ("math.squared_difference", "SquaredDifference", lambda x, y: (x - y) ** 2),
)


def test_two_operands_either_of_which_may_be_a_number(tmp_path: Path) -> None:
    two, three, wanted = list[Config](), list[Config](), dict[str, Any]()
    for index, (tensorflow, keras, value) in enumerate(BINARY):
        for form, (x, y) in {"t": (X, Z), "n": (X, 2.5), "c": (2.5, X)}.items():
            name = f"f{index}{form}"
            wanted[name] = value(x, y)
            if form == "t":
                two.append(lambda_layer(tensorflow, name, ["x", 0, 0, {"y": ["z", 0, 0], "name": None}]))
                three.append(operation(keras, name, "x", "z"))
            elif form == "n":
                two.append(lambda_layer(tensorflow, name, ["x", 0, 0, {"y": 2.5, "name": None}]))
                three.append(operation(keras, name, "x", 2.5))
            else:
                node = ["_CONSTANT_VALUE", -1, 2.5, {"y": ["x", 0, 0], "name": None}]
                two.append(lambda_layer(tensorflow, name, node))
                three.append(operation(keras, name, 2.5, "x"))
    inputs = [source("x", 6, 7, 4), source("z", 6, 7, 4)]
    check(hdf5(tmp_path / "m.h5", functional([*inputs, *two], ["x", "z"], list(wanted))), wanted, X, Z)
    path = archive(tmp_path / "m.keras", functional([*inputs, *three], ["x", "z"], list(wanted)), {})
    check(path, wanted, X, Z)


def part(start: int | None = None, stop: int | None = None, step: int | None = None) -> Config:
    return {"start": start, "stop": stop, "step": step}


def test_slices_splits_and_joins(tmp_path: Path) -> None:
    ellipsis, both = {"class_name": "__ellipsis__"}, [["x", 0, 0, {"axis": 1}], ["z", 0, 0, {"axis": 1}]]
    weights = [[[[1.0, 2.0, 3.0, 4.0]]]]
    layers = [
        lambda_layer(
            "__operators__.getitem", "a", ["x", 0, 0, {"slice_spec": [part(), part(1, -1), ellipsis, 0]}]
        ),
        lambda_layer(
            "__operators__.getitem", "b", ["x", 0, 0, {"slice_spec": [ellipsis, part(None, None, -2)]}]
        ),
        lambda_layer("__operators__.getitem", "c", ["x", 0, 0, {"slice_spec": [part(), -1, None, part(2)]}]),
        lambda_layer("split", "s", ["x", 0, 0, {"num_or_size_splits": [1, -1, 2], "axis": -1}]),
        lambda_layer("unstack", "u", ["x", 0, 0, {"axis": 1}]),
        lambda_layer("concat", "j", both),
        lambda_layer("stack", "k", both),
        lambda_layer("math.multiply", "w", ["x", 0, 0, {"y": weights}]),
        called(layer("Add", "t"), [["s", 0, 0], ["s", 0, 1]]),
    ]
    ends = ["a", "b", "c", "j", "k", "w", "t", ["s", 0, 2], ["u", 0, 5]]
    model = functional([source("x", 6, 7, 4), source("z", 6, 7, 4), *layers], ["x", "z"], ends)
    graph = importers.load(hdf5(tmp_path / "m.h5", model))
    found = run(graph, X, Z)
    wanted = {
        "a": X[:, 1:-1, :, 0], "b": X[..., ::-2], "c": X[:, -1, None, 2:], "j": np.concatenate([X, Z], 1),
        "k": np.stack([X, Z], 1), "w": X * [1, 2, 3, 4], "t": X[..., :1] + X[..., 1:2], "s": X[..., 2:],
        "u": X[:, 5],
    }  # fmt: skip
    assert graph.outputs[:7] == list(wanted)[:7]
    for value, name in zip(found.values(), wanted, strict=True):
        assert (name, difference(value, wanted[name]) <= 1e-6) == (name, True)


def test_slices_and_splits_of_keras_3(tmp_path: Path) -> None:
    def whole(*bounds: int | None) -> Config:
        return {"class_name": "__slice__", "config": dict(zip(SLICE, bounds or (None,) * 3, strict=True))}

    key = [whole(), whole(1, 3, None), {"class_name": "__ellipsis__", "config": {}}, 0]
    layers = [
        operation("GetItem", "a", "x", key),
        operation("Split", "s", "x", indices_or_sections=[1, 3], axis=-1),
        operation("Concatenate", "j", ["x", "z"], axis=-1),
        operation("Relu6", "r", module="nn"),
    ]
    layers[2]["inbound_nodes"] = [{"args": [[tensor("x"), tensor("z")]], "kwargs": {}}]
    layers[3]["inbound_nodes"] = [{"args": [tensor("s", 1)], "kwargs": {}}]
    model = functional([source("x", 6, 7, 4), source("z", 6, 7, 4), *layers], ["x", "z"], ["a", "j", "r"])
    found = run(importers.load(archive(tmp_path / "m.keras", model, {})), X, Z)
    agree(found["a"], X[:, 1:3, :, 0])
    agree(found["j"], np.concatenate([X, Z], -1))
    agree(found["r"], X[..., 1:3].clip(0, 6))


def test_shapes_that_are_computed_are_known(tmp_path: Path) -> None:
    """tf.reshape(x, [tf.shape(x)[0], -1, 4]), as ports of PyTorch models have it."""
    layers = [
        lambda_layer("compat.v1.shape", "s", ["x", 0, 0, {"out_type": "int32"}]),
        lambda_layer("__operators__.getitem", "b", ["s", 0, 0, {"slice_spec": 0}]),
        lambda_layer("reshape", "y", ["x", 0, 0, {"shape": [["b", 0, 0], -1, 4]}]),
    ]
    graph = importers.load(hdf5(tmp_path / "m.h5", functional([source("x", 6, 7, 4), *layers], ["x"], ["y"])))
    agree(run(graph, X)["y"], X.reshape(1, 42, 4))
    assert "Shape" not in {node.op for node in normalise(graph)[0].nodes}


def test_the_hard_swish_of_mobilenet(tmp_path: Path) -> None:
    """x * (relu6(x + 3) * (1 / 6)), which Keras 2 writes with operators between layers."""
    layers = [
        lambda_layer("__operators__.add", "a", ["x", 0, 0, {"y": 3.0, "name": None}]),
        called(layer("ReLU", "r", max_value=6.0, negative_slope=0.0, threshold=0.0), ["a"]),
        lambda_layer("math.multiply", "m", ["r", 0, 0, {"y": 0.16666666666666666, "name": None}]),
        called(layer("Multiply", "y"), ["x", "m"]),
    ]
    path = hdf5(tmp_path / "m.h5", functional([source("x", 6, 7, 4), *layers], ["x"], ["y"]))
    agree(imported(path, 3 * X), 3 * X * (3 * X + 3).clip(0, 6) / 6)


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("signal.fft", {}, "is a call of `tf.signal.fft` outside of layers .*docs/import.md.*from_keras"),
        ("math.reduce_maen", {}, r"did you mean `math.reduce_mean`\? Otherwise cut"),
        ("math.reduce_mean", {"axis": 7}, "is called with `axis: 7`"),
        ("reshape", {"shape": [5, -1]}, "the number of values differs"),
        ("reshape", {"shape": ["x", 0, 0]}, "takes its `shape` from a tensor why: it is known only when"),
        ("image.resize", {"size": [9, 9], "method": "bicubic"}, "`interpolation: bicubic`"),
        (
            "image.resize",
            {"size": [9, 9], "preserve_aspect_ratio": True},
            "with `preserve_aspect_ratio`, which",
        ),
        ("math.add", {"y": float("nan")}, "is called with `y: nan`"),
        ("math.add", {"y": [[1], [2, 3]]}, "is called with `y: "),
        ("math.add", {"y": 10**40}, "is called with `y: 1000"),
        ("math.add", {}, "is called with `y: None`"),
        ("split", {"num_or_size_splits": 3, "axis": 3}, "is called with `sizes: 3`"),
        ("squeeze", {"axis": [1]}, r"is called with `axis: \[1\]`"),
        ("__operators__.getitem", {"slice_spec": [0, 9]}, "is called with `key:"),
        (
            "__operators__.getitem",
            {"slice_spec": [{"start": 0, "stop": 5, "step": 0}]},
            "is called with `key:",
        ),
    ],
)
def test_what_is_wrong_with_a_call_is_named(
    tmp_path: Path, function: str, arguments: dict[str, Any], words: str
) -> None:
    entry = lambda_layer(function, "y", ["x", 0, 0, arguments])
    path = hdf5(tmp_path / "m.h5", functional([source("x", 6, 7, 4), entry], ["x"], ["y"]))
    said = message(path)
    assert matches(words, said) and ("is called with" not in said or "cut the model before it" in said)


def test_the_h5_files_of_keras_3_name_no_modules(tmp_path: Path) -> None:
    added, relu = operation("Add", "a", "x", 3.0), called(layer("ReLU", "r", trainable=True, max_value=6.0))
    for entry in (added, relu):
        for key in ("module", "registered_name"):
            entry.pop(key, None)
    relu["inbound_nodes"] = [{"args": [tensor("a")], "kwargs": {}}]
    model = functional([source("x", 6, 7, 4), added, relu], ["x"], ["r"])
    agree(imported(hdf5(tmp_path / "m.h5", model, version="3.15.1"), X), (X + 3).clip(0, 6))


def test_a_function_may_be_cut_off(tmp_path: Path) -> None:
    layers = [
        lambda_layer("split", "s", ["x", 0, 0, {"num_or_size_splits": 2, "axis": -1}]),
        lambda_layer("signal.fft", "y", ["s", 0, 1, {}]),
    ]
    path = hdf5(tmp_path / "m.h5", functional([source("x", 6, 7, 4), *layers], ["x"], ["y"]))
    graph = importers.load(path, {}, [{"cut": {"outputs": ["s:1"]}}])
    agree(run(graph, X)["s:1"], X[..., 2:])
