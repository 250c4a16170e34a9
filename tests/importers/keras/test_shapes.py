"""Layers that move numbers, and those that merge tensors, against their definition in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modelbuild import importers
from tests.importers.keras import judge
from tests.importers.keras.bench import Bench
from tests.importers.keras.judge import agree, difference, imported, run
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
