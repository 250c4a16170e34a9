"""Each layer against its definition in numpy. (All of them were held against Keras 3.15 itself as well.)"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from tests.importers.keras import judge
from tests.importers.keras.judge import ACTIVATIONS, agree, difference, imported, run
from tests.importers.keras.writer import (
    Array,
    Config,
    called,
    functional,
    hdf5,
    layer,
    numbers,
    sequential,
    source,
)

X = numbers(1, 6, 7, 4, seed=9)
ROW = numbers(1, 6, seed=8)
LARGE = 4 * X


class Bench:
    """Collects layers, and runs all of them from one file: reading a file takes a process."""

    def __init__(self, version: str = "2.4.0") -> None:
        self._version = version
        self._layers: list[Config] = []
        self._feeds: list[Array] = []
        self._weights: dict[str, tuple[Array, ...]] = {}
        self._wanted: dict[str, Any] = {}

    def __call__(self, data: Array, kind: str, *weights: Array, **settings: Any) -> str:
        """A layer on `data`; its name."""
        place = next((i for i, feed in enumerate(self._feeds) if feed is data), len(self._feeds))
        if place == len(self._feeds):
            self._feeds.append(data)
        name = f"{kind} {len(self._layers)}"
        self._layers.append(called(layer(kind, name, **settings), [f"x{place}"]))
        self._weights |= {name: weights} if weights else {}
        return name

    def agree(self, name: str, wanted: Any) -> None:
        """Notes what the layer `name` must make."""
        self._wanted[name] = wanted

    def check(self, folder: Path) -> None:
        """Runs them all."""
        inputs = [source(f"x{index}", *feed.shape[1:]) for index, feed in enumerate(self._feeds)]
        names = [item["name"] for item in inputs]
        outputs = list(self._wanted)
        path = hdf5(
            folder / "m.h5",
            functional([*inputs, *self._layers], names, outputs),
            self._weights,
            self._version,
        )
        graph = importers.load(path)
        assert graph.outputs == outputs
        assert len(outputs) == len(self._layers)
        found = run(graph, *self._feeds)
        for name, wanted in self._wanted.items():
            assert (name, difference(found[name], wanted) <= 1e-5) == (name, True)


def test_convolutions_and_pools(tmp_path: Path) -> None:
    bench = Bench()
    for same, stride in product((True, False), (1, 2, 3)):
        window = {"strides": [stride, stride], "padding": "same" if same else "valid"}
        steps, bias = (stride, stride), numbers(5)
        kernel = numbers(3, 2, 4, 5)
        found = bench(X, "Conv2D", kernel, bias, filters=5, kernel_size=[3, 2], **window)
        bench.agree(found, judge.conv(X, kernel, steps, same) + bias)
        kernel = numbers(3, 3, 4, 2)
        found = bench(
            X,
            "DepthwiseConv2D",
            kernel,
            kernel_size=3,
            depth_multiplier=2,
            use_bias=False,
            **window,
        )
        bench.agree(found, judge.depthwise(X, kernel, steps, same))
        wide = numbers(1, 1, 8, 5)
        found = bench(X, "SeparableConv2D", kernel, wide, bias, filters=5, kernel_size=[3, 3],
                    depth_multiplier=2, activation="relu", **window)  # fmt: skip
        deep = judge.depthwise(X, kernel, steps, same)
        bench.agree(found, np.maximum(judge.conv(deep, wide, (1, 1), False) + bias, 0))
        for kind in ("Max", "Average"):
            found = bench(X, f"{kind}Pooling2D", pool_size=[3, 2], **window)
            bench.agree(found, judge.pool(X, (3, 2), steps, same, kind == "Average"))
    bench.check(tmp_path)


def test_transposed_convolutions(tmp_path: Path) -> None:
    bench = Bench()
    for same, stride, size in product((True, False), (1, 2, 3), (1, 2, 3, 4)):
        kernel, bias = numbers(size, size, 3, 4), numbers(3)
        found = bench(X, "Conv2DTranspose", kernel, bias, filters=3, kernel_size=[size, size],
                    strides=stride, padding="same" if same else "valid")  # fmt: skip
        bench.agree(found, judge.conv_transpose(X, kernel, stride, same) + bias)
    bench.check(tmp_path)


def test_dilation_groups_and_one_axis(tmp_path: Path) -> None:
    bench = Bench()
    kernel = numbers(3, 3, 4, 5)
    found = bench(
        X,
        "Conv2D",
        kernel,
        filters=5,
        kernel_size=3,
        dilation_rate=2,
        padding="same",
        use_bias=False,
    )
    bench.agree(found, judge.conv(X, kernel, (1, 1), True, 2))
    halves = numbers(3, 3, 2, 6)
    found = bench(X, "Conv2D", halves, filters=6, kernel_size=3, groups=2, use_bias=False)
    parts = [
        judge.conv(X[..., :2], halves[..., :3], (1, 1), False),
        judge.conv(X[..., 2:], halves[..., 3:], (1, 1), False),
    ]
    bench.agree(found, np.concatenate(parts, -1))
    line, taps = X[:, 0], numbers(3, 4, 5)
    found = bench(line, "Conv1D", taps, filters=5, kernel_size=[3], padding="causal", use_bias=False)
    earlier = np.pad(line, ((0, 0), (2, 0), (0, 0)))
    bench.agree(found, sum(earlier[:, at : at + 7] @ taps[at] for at in range(3)))
    bench.agree(bench(line, "MaxPooling1D", pool_size=2), line[:, :6].reshape(1, 3, 2, 4).max(2))
    bench.check(tmp_path)


def test_dense_on_rows_lines_and_pictures(tmp_path: Path) -> None:
    bench = Bench()
    kernel, bias = numbers(4, 3), numbers(3)
    for data in (X[:, 0, 0], X[:, 0], X):
        found = bench(data, "Dense", kernel, bias, units=3, activation="sigmoid")
        bench.agree(found, ACTIVATIONS["sigmoid"](data @ kernel + bias))
        bench.agree(bench(data, "Dense", kernel, units=3, use_bias=False), data @ kernel)
    bench.check(tmp_path)


def test_batch_normalization(tmp_path: Path) -> None:
    bench = Bench()
    for axis, scale, center in product((1, 2, 3, -1, [3]), (True, False), (True, False)):
        at = axis[0] if isinstance(axis, list) else axis % 4
        size, shape = X.shape[at], [X.shape[at] if index == at else 1 for index in range(4)]
        gamma, beta, mean, variance = (
            numbers(size),
            numbers(size, seed=1),
            numbers(size, seed=2),
            np.abs(numbers(size)) + 1,
        )
        weights = [*([gamma] if scale else []), *([beta] if center else []), mean, variance]
        found = bench(X, "BatchNormalization", *weights, axis=axis, scale=scale, center=center, epsilon=0.01)
        wanted = (X - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 0.01)
        wanted = wanted * (gamma.reshape(shape) if scale else 1) + (beta.reshape(shape) if center else 0)
        bench.agree(found, wanted)
    bench.check(tmp_path)


def test_activations_as_layers_and_arguments(tmp_path: Path) -> None:
    bench = Bench()
    for name in ACTIVATIONS:
        bench.agree(bench(X, "Activation", activation=name), ACTIVATIONS[name](X))
        kernel = numbers(6, 5)
        found = bench(ROW, "Dense", kernel, units=5, use_bias=False, activation=name)
        bench.agree(found, ACTIVATIONS[name](ROW @ kernel))
    bench.check(tmp_path)


@pytest.mark.parametrize(("version", "slope"), [("1.2.2", 0.2), ("2.15.0", 0.2), ("3.5.0", 1 / 6)])
def test_hard_sigmoid_is_that_of_the_version(tmp_path: Path, version: str, slope: float) -> None:
    bench = Bench(version)
    bench.agree(bench(LARGE, "Activation", activation="hard_sigmoid"), (slope * LARGE + 0.5).clip(0, 1))
    bench.check(tmp_path)


def relu(x: Array, highest: float, slope: float, threshold: float) -> Array:
    return np.where(x >= highest, highest, np.where(x > threshold, x, slope * (x - threshold)))


def test_relu_with_all_its_settings(tmp_path: Path) -> None:
    bench = Bench()
    for highest, slope, threshold in product((None, 1.0, 6.0), (0.0, 0.1), (0.0, 0.3)):
        found = bench(LARGE, "ReLU", max_value=highest, negative_slope=slope, threshold=threshold)
        bench.agree(found, relu(LARGE, np.inf if highest is None else highest, slope, threshold))
    bench.check(tmp_path)


def test_activation_layers(tmp_path: Path) -> None:
    bench = Bench()
    bench.agree(bench(X, "LeakyReLU", alpha=0.25), np.where(X > 0, X, 0.25 * X))
    bench.agree(bench(X, "LeakyReLU", negative_slope=0.25), np.where(X > 0, X, 0.25 * X))
    bench.agree(bench(X, "ELU", alpha=0.5), np.where(X > 0, X, 0.5 * np.expm1(X)))
    bench.agree(bench(X, "ThresholdedReLU", theta=0.5), np.where(X > 0.5, X, 0))
    bench.agree(bench(X, "Softmax", axis=1), judge.softmax(X, 1))
    slopes = numbers(1, 1, 4)
    bench.agree(bench(X, "PReLU", slopes, shared_axes=[1, 2]), np.where(X > 0, X, slopes * X))
    slopes = numbers(6, 7, 4)
    bench.agree(bench(X, "PReLU", slopes), np.where(X > 0, X, slopes * X))
    wrapped = {"class_name": "LeakyReLU", "config": {"alpha": 0.125}}
    bench.agree(bench(X, "Activation", activation=wrapped), np.where(X > 0, X, 0.125 * X))
    bench.check(tmp_path)


def bilinear(x: Array, factor: int) -> Array:
    """Twice along each axis, the pixels' centres as the grid."""
    for axis in (1, 2):
        size = x.shape[axis]
        place = ((np.arange(size * factor) + 0.5) / factor - 0.5).clip(0, size - 1)
        low = np.floor(place).astype(int)
        part = (place - low).reshape([-1 if index == axis else 1 for index in range(4)])
        x = x.take(low, axis) * (1 - part) + x.take(np.minimum(low + 1, size - 1), axis) * part
    return x


MOVES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "global average": ("GlobalAveragePooling2D", {}, X.mean((1, 2))),
    "global maximum": ("GlobalMaxPooling2D", {"keepdims": True}, X.max((1, 2), keepdims=True)),
    "padding": ("ZeroPadding2D", {"padding": [[1, 2], [0, 3]]}, np.pad(X, ((0, 0), (1, 2), (0, 3), (0, 0)))),
    "padding each": ("ZeroPadding2D", {"padding": [1, 2]}, np.pad(X, ((0, 0), (1, 1), (2, 2), (0, 0)))),
    "cropping": ("Cropping2D", {"cropping": [[1, 2], [0, 3]]}, X[:, 1:4, :4]),
    "nearest": ("UpSampling2D", {"size": [2, 3]}, X.repeat(2, 1).repeat(3, 2)),
    "bilinear": ("UpSampling2D", {"size": 2, "interpolation": "bilinear"}, bilinear(X, 2)),
    "flatten": ("Flatten", {}, X.reshape(1, -1)),
    "reshape": ("Reshape", {"target_shape": [-1, 8]}, X.reshape(1, 21, 8)),
    "permute": ("Permute", {"dims": [3, 1, 2]}, X.transpose(0, 3, 1, 2)),
    "rescaling": ("Rescaling", {"scale": 0.5, "offset": -1}, X * 0.5 - 1),
    "rescaling each": ("Rescaling", {"scale": [1, 2, 3, 4.5]}, X * [1, 2, 3, 4.5]),
    "normalization": ("Normalization", {"mean": [1, 2, 3, 4.0], "variance": [1, 4, 9, 0.25], "axis": [-1]},
                      (X - [1, 2, 3, 4]) / [1, 2, 3, 0.5]),
    **{name: (name, {}, X) for name in ("Dropout", "SpatialDropout2D", "GaussianNoise")},
}  # fmt: skip


def test_layers_without_weights(tmp_path: Path) -> None:
    bench = Bench()
    for name in MOVES:
        kind, settings, wanted = MOVES[name]
        bench.agree(bench(X, kind, **settings), wanted)
    bench.check(tmp_path)


def test_what_is_left_of_the_small_ones(tmp_path: Path) -> None:
    bench = Bench()
    bench.agree(bench(ROW, "RepeatVector", n=3), np.stack([ROW] * 3, 1))
    mean, variance = numbers(4), np.abs(numbers(4)) + 1
    found = bench(X, "Normalization", mean, variance, np.float32([5]).reshape(()), axis=-1)
    bench.agree(found, (X - mean) / np.sqrt(variance))
    gamma, beta = numbers(4), numbers(4, seed=1)
    centred = X - X.mean(-1, keepdims=True)
    wanted = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3) * gamma + beta
    bench.agree(bench(X, "LayerNormalization", gamma, beta, axis=[3], epsilon=1e-3), wanted)
    bench.check(tmp_path)


A, B = numbers(1, 6, 7, 4, seed=1), numbers(1, 6, 7, 4, seed=2)
P, Q = numbers(1, 5, 6), numbers(1, 6, 7)
MERGES: dict[str, tuple[tuple[Array, ...], dict[str, Any], Any]] = {
    "Add": ((X, A, B), {}, X + A + B),
    "Subtract": ((X, A), {}, X - A),
    "Multiply": ((X, A, B[:, :1, :1]), {}, X * A * B[:, :1, :1]),
    "Average": ((X, A, B), {}, (X + A + B) / 3),
    "Maximum": ((X, A, B), {}, np.maximum(np.maximum(X, A), B)),
    "Minimum": ((X, A), {}, np.minimum(X, A)),
    "Concatenate": ((X, A), {"axis": -1}, np.concatenate([X, A], -1)),
    "Concatenate rows": ((X, A[:, :2]), {"axis": 1}, np.concatenate([X, A[:, :2]], 1)),
    "Dot": ((P, Q), {"axes": [2, 1]}, P @ Q),
    "Dot turned": ((P.transpose(0, 2, 1), Q.transpose(0, 2, 1)), {"axes": [1, 2]}, P @ Q),
    "Dot rows": ((ROW, ROW[:, ::-1].copy()), {"axes": 1}, (ROW * ROW[:, ::-1]).sum(1, keepdims=True)),
}  # fmt: skip


def test_layers_that_merge(tmp_path: Path) -> None:
    feeds: list[Array] = []
    inputs, layers = list[Config](), list[Config]()
    for name, (data, settings, _) in MERGES.items():
        names = [f"x{len(feeds) + index}" for index in range(len(data))]
        feeds += data
        inputs += [source(item, *value.shape[1:]) for item, value in zip(names, data, strict=True)]
        layers.append(called(layer(name.split()[0], name, **settings), names))
    borders = [item["name"] for item in inputs]
    graph = importers.load(hdf5(tmp_path / "m.h5", functional([*inputs, *layers], borders, list(MERGES))))
    assert (graph.inputs, graph.outputs) == (borders, list(MERGES))
    for name, found in run(graph, *feeds).items():
        assert (name, difference(found, MERGES[name][2]) <= 1e-5) == (name, True)


def first(*layers: Config) -> Config:
    """A model of layers whose pictures have their channels in front."""
    found = sequential(*layers, shape=(None, 4, 6, 7))
    for item in found["config"]["layers"][1:]:
        item["config"]["data_format"] = "channels_first"
    return found


def test_channels_first_models_stay_as_they_are(tmp_path: Path) -> None:
    kernel = numbers(3, 3, 4, 5)
    model = first(
        layer("Conv2D", "c", filters=5, kernel_size=3, strides=2, padding="same", use_bias=False),
        layer("BatchNormalization", "b", axis=1, scale=False, center=False),
        layer("ZeroPadding2D", "p", padding=[[1, 0], [0, 0]]),
        layer("MaxPooling2D", "m", pool_size=2),
    )
    mean, variance = numbers(5), np.abs(numbers(5)) + 1
    path = hdf5(tmp_path / "m.h5", model, {"c": [kernel], "b": [mean, variance]})
    graph = importers.load(path)
    assert graph.shapes["x"] == (1, 4, 6, 7)
    assert not [node for node in graph.nodes if node.op == "Transpose"]
    normal = (judge.conv(X, kernel, (2, 2), True) - mean) / np.sqrt(variance + 1e-3)
    wanted = judge.pool(np.pad(normal, ((0, 0), (1, 0), (0, 0), (0, 0))), (2, 2), (2, 2), False, False)
    agree(run(graph, X.transpose(0, 3, 1, 2))["m"], wanted.transpose(0, 3, 1, 2))
    flat = imported(hdf5(tmp_path / "f.h5", first(layer("Flatten", "f"))), X.transpose(0, 3, 1, 2))
    agree(flat, X.reshape(1, -1))
