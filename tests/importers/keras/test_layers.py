"""Each layer against its definition in numpy. (All of them were held against Keras 3.15 itself as well.)"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.importers.keras import judge
from tests.importers.keras.bench import Bench
from tests.importers.keras.judge import ACTIVATIONS
from tests.importers.keras.writer import (
    Array,
    numbers,
)

X = numbers(1, 6, 7, 4, seed=9)
ROW = numbers(1, 6, seed=8)
LARGE = 4 * X


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
