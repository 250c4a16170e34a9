"""Each type of layer against OpenCV, or against its definition where OpenCV lacks it or differs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.importers.caffe import exact
from tests.importers.caffe.judge import Array, agree, imported, opencv
from tests.importers.caffe.writer import Blobs, caffemodel, layer, network, numbers, saved


class Case(NamedTuple):
    """One network: its layers, the last of which is `out`."""

    body: str
    blobs: Blobs | None = None
    shape: tuple[int, ...] = (1, 4, 6, 8)


def one(kind: str, parameters: str = "", *blobs: Array, shape: tuple[int, ...] = (1, 4, 6, 8)) -> Case:
    return Case(layer(kind, parameters), {"out": blobs} if blobs else None, shape)


def pools(shape: tuple[int, ...], *settings: str) -> dict[str, Case]:
    return {
        f"{method} {setting} {shape}": one("Pooling", f"pool: {method} {setting}", shape=shape)
        for method in ("MAX", "AVE")
        for setting in settings
    }


def two(kind: str, parameters: str, count: int = 2) -> Case:
    names = [f"b{index}" for index in range(count)]
    body = "".join(layer("Power", f"scale: {0.5 + i} shift: {i}", name=n) for i, n in enumerate(names))
    return Case(body + layer(kind, parameters, names))


K, B = numbers(6, 4, 3, 3), numbers(6)
CONV = "num_output: 6 kernel_size: 3"
AGAINST_OPENCV = {
    "convolution": one("Convolution", f"{CONV}", K, B),
    "no bias": one("Convolution", f"{CONV} bias_term: false pad: 1 stride: 2", K),
    "groups": one("Convolution", f"{CONV} group: 2", numbers(6, 2, 3, 3), B),
    "dilation": one("Convolution", f"{CONV} dilation: 2 pad: 2", K, B),
    "height and width": one(
        "Convolution",
        "num_output: 6 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2 stride_h: 2 stride_w: 1",
        numbers(6, 4, 1, 5),
        B,
    ),
    "two sizes": one("Convolution", f"{CONV} stride: 1 stride: 2 pad: 1 pad: 0", K, B),
    "depthwise": one(
        "ConvolutionDepthwise", "num_output: 4 kernel_size: 3", numbers(4, 1, 3, 3), numbers(4)
    ),
    "deconvolution": one("Deconvolution", "num_output: 6 kernel_size: 4 stride: 2 pad: 1",
                         numbers(4, 6, 4, 4), B),
    "deconvolution groups": one("Deconvolution", "num_output: 4 kernel_size: 2 stride: 2 group: 4"
                                " bias_term: false", numbers(4, 1, 2, 2)),
    **pools((1, 2, 7, 9), "kernel_size: 3 stride: 2", "kernel_size: 2 stride: 2", "global_pooling: true"),
    **pools((1, 2, 7, 9), "global_pooling: true stride: 1 pad: 0"),
    **pools((1, 2, 7, 9), "kernel_size: 3 stride: 2 pad: 1", "kernel_size: 4 stride: 3 pad: 1"),
    **pools((1, 2, 7, 9), "kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 3"),
    **pools((1, 2, 6, 8), "kernel_size: 3 stride: 2", "kernel_size: 2 stride: 2 pad: 1"),
    "deconvolution two groups": one("Deconvolution", "num_output: 6 kernel_size: 3 stride: 2 pad: 1 group: 2",
                                    numbers(4, 3, 3, 3), B),
    "inner product": one("InnerProduct", "num_output: 5", numbers(5, 192), numbers(5)),
    "inner product rows": one("InnerProduct", "num_output: 5 axis: -1 bias_term: false",
                              numbers(5, 8)),
    "relu": one("ReLU"),
    "leaky relu": one("ReLU", "negative_slope: 0.1"),
    "relu6": one("ReLU6"),
    "prelu": one("PReLU", "", numbers(4)),
    "prelu shared": one("PReLU", "channel_shared: true", numbers(1)),
    "elu": one("ELU", "alpha: 1"),
    "sigmoid": one("Sigmoid"),
    "tanh": one("TanH"),
    "absolute": one("AbsVal"),
    "bnll": one("BNLL"),
    "power": one("Power", "power: 2 scale: 0.5 shift: 1.5"),
    "power of one": one("Power", "scale: -2 shift: 1"),
    "exp": one("Exp", "base: 2 scale: 0.5 shift: 1"),
    "exp of e": one("Exp"),
    "batch norm": one("BatchNorm", "eps: 0.001", numbers(4), np.abs(numbers(4)) + 1,
                      np.array([2.5], np.float32)),
    "scale": one("Scale", "bias_term: true", numbers(4), numbers(4, seed=1)),
    "scale alone": one("Scale", "", numbers(4)),
    "sum": two("Eltwise", "operation: SUM", 3),
    "weighted sum": two("Eltwise", "coeff: 1 coeff: -0.5"),
    "product": two("Eltwise", "operation: PROD"),
    "maximum": two("Eltwise", "operation: MAX", 3),
    "concat": two("Concat", ""),
    "concat axis": two("Concat", "axis: -1"),
    "flatten": one("Flatten"),
    "flatten some": one("Flatten", "axis: 2 end_axis: 3"),
    "reshape": one("Reshape", "shape { dim: 0 dim: 2 dim: -1 }"),
    "reshape some": one("Reshape", "shape { dim: -1 dim: 2 } axis: 1 num_axes: 2"),
    "permute": one("Permute", "order: 0 order: 2 order: 3 order: 1"),
    "softmax": one("Softmax"),
    "softmax axis": one("Softmax", "axis: 2"),
    "lrn": one("LRN", "local_size: 3 alpha: 0.2 beta: 0.75"),
    "lrn within": one("LRN", "local_size: 3 alpha: 0.2 norm_region: WITHIN_CHANNEL"),
    "normalize": one("Normalize", "across_spatial: false channel_shared: false", numbers(4)),
    "normalize all": one("Normalize", "eps: 1e-6", np.array([20], np.float32)),
    "mvn": one("MVN", "eps: 1e-6"),
    "interp": one("Interp", "height: 11 width: 13"),
    "zoom": one("Interp", "zoom_factor: 2"),
    "reorg": one("Reorg", "stride: 2", shape=(1, 8, 6, 4)),
    "shuffle": one("ShuffleChannel", "group: 2"),
    "dropout": one("Dropout", "dropout_ratio: 0.4"),
    "prior boxes": one("PriorBox", "min_size: 30 max_size: 60 aspect_ratio: 2 aspect_ratio: 3"
                       " flip: true clip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"),
    "prior boxes steps": one("PriorBox", "min_size: 10 min_size: 20 aspect_ratio: 2 flip: false"
                             " clip: true step: 8 offset: 0.25 variance: 0.1"),
}  # fmt: skip


def files_of(case: Case, folder: Path) -> tuple[Path, Path]:
    body = case.body.replace('"PriorBox" bottom: "data"', '"PriorBox" bottom: "data" bottom: "data"')
    return saved(folder, network(body, case.shape), caffemodel(case.blobs or {}))


@pytest.mark.parametrize("name", AGAINST_OPENCV)
def test_layer_equals_opencv(tmp_path: Path, name: str) -> None:
    case = AGAINST_OPENCV[name]
    files, data = files_of(case, tmp_path), numbers(*case.shape, seed=7)
    found = imported(files, data=data)
    wanted = opencv(files, {"data": data}, ["out"])
    assert list(found) == ["out"]
    agree(found["out"], wanted["out"])


X = numbers(1, 4, 6, 8, seed=7)
ROWS = X.reshape(4, 48)
PLANES = [np.abs(numbers(4, 1, 1, seed=seed)) for seed in range(4)]
BY_DEFINITION: dict[str, tuple[Case, Array]] = {
    "inner product transposed": (
        one("InnerProduct", "num_output: 5 transpose: true", numbers(192, 5), numbers(5)),
        X.reshape(1, 192) @ numbers(192, 5) + numbers(5),
    ),
    "bias": (one("Bias", "", numbers(4)), X + numbers(4)[:, None, None]),
    "scale of all": (one("Scale", "axis: 2 num_axes: -1", numbers(6, 8)), X * numbers(6, 8)),
    "scale of none": (one("Scale", "num_axes: 0", numbers()), X * numbers()),
    "scale by a bottom": (
        Case(layer("Pooling", "pool: AVE global_pooling: true", name="p")
             + layer("Reshape", "shape { dim: 1 dim: 4 }", ["p"], "q")
             + layer("Scale", "axis: 0", ["data", "q"])),
        X * X.mean((2, 3), keepdims=True),
    ),
    "log": (
        Case(layer("AbsVal", name="a") + layer("Log", "base: 10 scale: 2 shift: 1", ["a"])),
        np.log10(1 + 2 * np.abs(X)),
    ),
    "dropout that scales when it tests": (
        one("Dropout", "dropout_ratio: 0.4 scale_train: false"), X * np.float32(0.6)
    ),
    "log of e": (Case(layer("AbsVal", name="a") + layer("Log", "shift: 1", ["a"])), np.log1p(np.abs(X))),
    "exp below one": (one("Exp", "base: 0.25 scale: -0.5 shift: -3"), 0.25 ** (-3 - 0.5 * X)),
    "mish": (one("Mish"), X * np.tanh(np.log1p(np.exp(X)))),
    "threshold": (one("Threshold", "threshold: 0.5"), (X > 0.5).astype(np.float32)),
    "upsample each": (one("Upsample", "scale_h: 3 scale_w: 1"), X.repeat(3, 2)),
    "folded bn": (one("BN", "bn_mode: INFERENCE", numbers(1, 4, 1, 1), numbers(1, 4, 1, 1, seed=1)),
                  X * numbers(4)[:, None, None] + numbers(4, seed=1)[:, None, None]),
    "bn of four": (
        one("BN", "frozen: true", *(np.abs(numbers(1, 4, 1, 1, seed=seed)) for seed in range(4))),
        (X - PLANES[2]) / np.sqrt(PLANES[3] + 1e-5) * PLANES[0] + PLANES[1],
    ),
    "largest of all": (one("ArgMax"), X.reshape(1, -1).argmax(1).reshape(1, 1, 1, 1).astype(np.float32)),
    "largest and where": (
        one("ArgMax", "out_max_val: true"),
        np.array([X.argmax(), X.max()], np.float32).reshape(1, 2, 1, 1),
    ),
    "largest channel": (one("ArgMax", "axis: 1"), X.argmax(1)[:, None].astype(np.float32)),
    "largest value": (one("ArgMax", "axis: -1 out_max_val: true"), X.max(3, keepdims=True)),
    "last of equals": (
        Case(layer("ReLU", "", name="r") + layer("Power", "scale: 0", ["r"], "p")
             + layer("ArgMax", "axis: 1", ["p"])),
        np.full((1, 1, 6, 8), 3, np.float32),
    ),
    "clip": (one("Clip", "min: -0.5 max: 0.25"), X.clip(-0.5, 0.25)),
    "swish": (one("Swish", "beta: 2"), X / (1 + np.exp(-2 * X))),
    "concat dim": (two("Concat", "concat_dim: 2"), np.concatenate([X * 0.5, X * 1.5 + 1], 2)),
    "lrn with k": (
        one("LRN", "local_size: 1 alpha: 0.5 beta: 0.75 k: 2"), X / (2 + 0.5 * X**2) ** np.float32(0.75)
    ),
    "tile": (one("Tile", "axis: 2 tiles: 3"), np.tile(X, (1, 1, 3, 1))),
    "upsample": (one("Upsample", "scale: 2"), X.repeat(2, 2).repeat(2, 3)),
    "floor": (
        one("Pooling", "kernel_size: 3 stride: 2 round_mode: FLOOR", shape=(1, 4, 6, 8)),
        np.lib.stride_tricks.sliding_window_view(X, (3, 3), (2, 3))[:, :, ::2, ::2].max((4, 5)),
    ),
    "sum of squares": (
        one("Reduction", "operation: SUMSQ axis: 2 coeff: 0.5"), 0.5 * (X**2).sum((2, 3))
    ),
    "mean": (one("Reduction", "operation: MEAN axis: 2"), X.mean((2, 3))),
    "crop": (
        Case(layer("Pooling", "kernel_size: 2 stride: 2", name="p")
             + layer("Crop", "axis: 2 offset: 1 offset: 2", ["data", "p"])),
        X[:, :, 1:4, 2:6],
    ),
    "interp shrinks": (
        one("Interp", "shrink_factor: 5 pad_end: 0"), X[:, :, ::5, :][:, :, :, [0, 7]]
    ),
    "mvn across": (
        one("MVN", "across_channels: true normalize_variance: false"), X - X.mean()
    ),
    "permute the first": (one("Permute", "order: 0 order: 3"), X.transpose(0, 3, 1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_DEFINITION)
def test_layer_equals_its_definition(tmp_path: Path, name: str) -> None:
    case, wanted = BY_DEFINITION[name]
    agree(imported(files_of(case, tmp_path), data=X)["out"], wanted)


def test_weights_that_are_not_stored_are_those_of_the_bilinear_filler(tmp_path: Path) -> None:
    def filled(size: int) -> Array:
        factor = (size + 1) // 2
        centre = factor - 1 if size % 2 else factor - 0.5
        line = 1 - np.abs(np.arange(size) - centre) / factor
        return np.broadcast_to(np.outer(line, line), (4, 1, size, size)).astype(np.float32)

    for size, stride in ((4, 2), (3, 2), (6, 3)):
        setting = f"num_output: 4 group: 4 kernel_size: {size} stride: {stride} bias_term: false"
        body = layer("Deconvolution", f'{setting} weight_filler {{ type: "bilinear" }}')
        found = imported(saved(tmp_path, network(body)), data=X)["out"]
        plain, blobs = network(layer("Deconvolution", setting)), caffemodel({"out": [filled(size)]})
        stored = saved(tmp_path, plain, blobs)
        agree(found, opencv(stored, {"data": X}, ["out"])["out"])


def test_constants_of_exp_and_log_do_not_depend_on_the_machine() -> None:
    assert exact.exp(1.0) == float.fromhex("0x1.5bf0a8b145769p+1")
    assert exact.ln(10.0) == float.fromhex("0x1.26bb1bbb55516p+1")
    assert (exact.exp(-1e300), exact.exp(0.0), exact.exp(1e300)) == (0.0, 1.0, float("inf"))


def test_sizes_of_prior_boxes_lose_their_fraction_as_in_the_original(tmp_path: Path) -> None:
    boxes = [
        imported(files_of(one("PriorBox", f"min_size: {size}"), folder), data=X)["out"]
        for size, folder in ((30.9, tmp_path), (30, tmp_path))
    ]
    assert boxes[0].shape == (1, 2, 6 * 8 * 4)
    np.testing.assert_array_equal(*boxes)
    np.testing.assert_allclose(
        boxes[0][0, 0, :4], [0.5 / 8 - 15 / 8, 0.5 / 6 - 15 / 6, 0.5 / 8 + 15 / 8, 0.5 / 6 + 15 / 6]
    )


def test_a_slice_has_its_tops_as_outputs(tmp_path: Path) -> None:
    body = 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" slice_param { slice_point: 1 } }'
    found = imported(saved(tmp_path, network(body)), data=X)
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["b"], X[:, 1:])
    equal = 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" slice_param { axis: 2 } }'
    np.testing.assert_array_equal(imported(saved(tmp_path, network(equal)), data=X)["b"], X[:, :, 3:])


def test_split_and_silence_are_wires(tmp_path: Path) -> None:
    body = (
        'layer { name: "s" type: "Split" bottom: "data" top: "a" top: "b" top: "c" }'
        'layer { name: "quiet" type: "Silence" bottom: "b" }'
        + layer("Eltwise", "", ["a", "c"])
    )  # fmt: skip
    found = imported(saved(tmp_path, network(body)), data=X)
    assert list(found) == ["out"]
    np.testing.assert_array_equal(found["out"], X + X)


def test_nodes_stand_for_their_layers(tmp_path: Path) -> None:
    body = layer("Normalize", name="norm") + layer("Convolution", f"{CONV}", ["norm"])
    files = saved(tmp_path, network(body), caffemodel({"norm": [numbers(1)], "out": [K, B]}))
    graph = importers.load(files[0], weights=files[1])
    assert {node.origin for node in graph.nodes} == {("norm",), ("out",)}
    assert {"norm", "out"} <= {node.name for node in graph.nodes}
