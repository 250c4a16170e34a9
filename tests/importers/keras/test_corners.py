"""Blocks of well-known networks, and files that are not what their names say."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from modelbuild import importers
from modelbuild.importers.source import source_of
from tests.importers.keras import judge
from tests.importers.keras.bench import Bench
from tests.importers.keras.judge import agree, imported, run
from tests.importers.keras.test_files import BOTH, WEIGHTS, X, wanted
from tests.importers.keras.writer import archive, called, functional, hdf5, layer, numbers, sequential, source
from tests.importers.refused import matches, message

LINE = numbers(1, 9, 4, seed=2)


def test_names_with_slashes(tmp_path: Path) -> None:
    conv = layer("Conv2D", "block/conv", filters=5, kernel_size=3, activation="relu")
    model = sequential(conv, layer("BatchNormalization", "block/conv/bn", axis=-1))
    weights = {"block/conv": WEIGHTS["c"], "block/conv/bn": WEIGHTS["b"]}
    graph = importers.load(hdf5(tmp_path / "m.h5", model, weights))
    agree(run(graph, X)["block/conv/bn"], wanted())
    assert {node.origin for node in graph.nodes} >= {("block/conv",), ("block/conv/bn",)}


def test_a_layer_on_each_step_of_a_sequence(tmp_path: Path) -> None:
    steps, kernel, bias = numbers(1, 3, 6, 7, 4), numbers(3, 3, 4, 5), numbers(5)
    conv, pooled = layer("Conv2D", "c", filters=5, kernel_size=3), layer("GlobalAveragePooling2D", "g")
    layers = [
        called(layer("TimeDistributed", "t", layer=conv), ["x"]),
        called(layer("TimeDistributed", "u", layer=pooled), ["t"]),
        called(layer("TimeDistributed", "v", layer=layer("Dense", "d", units=2, use_bias=False)), ["u"]),
    ]
    model, last = functional([source("x", 3, 6, 7, 4), *layers], ["x"], ["v"]), numbers(5, 2)
    each = np.stack(
        [(judge.conv(x, kernel, (1, 1), False) + bias).mean((1, 2)) for x in steps[0, :, None]], 1
    )
    agree(imported(hdf5(tmp_path / "m.h5", model, {"t": [kernel, bias], "v": [last]}), steps), each @ last)
    paths = {
        "layers/time_distributed/layer": [kernel, bias],
        "layers/time_distributed_1/layer": [],
        "layers/time_distributed_2/layer": [last],
    }
    agree(imported(archive(tmp_path / "m.keras", model, paths), steps), each @ last)


def test_weights_of_a_nested_model_with_layers_that_are_refused(tmp_path: Path) -> None:
    """A cut leaves the LSTM out; its weights still stand in the one list of the nested model."""
    inner = functional(
        [
            source("i", 9, 4),
            called(layer("Bidirectional", "b", layer=layer("LSTM", "l", units=2)), ["i"]),
            called(layer("Dense", "d", units=3), ["i"]),
        ],
        ["i"],
        ["d", "b"],
    )
    whole = {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]]]}
    model = functional([source("x", 9, 4), whole], ["x"], [["inner", 0, 0], ["inner", 0, 1]])
    kernel, bias, recurrent = numbers(4, 3), numbers(3), [numbers(4, 8), numbers(2, 8), numbers(8)] * 2
    path = hdf5(tmp_path / "m.h5", model, {"inner": [*recurrent, kernel, bias]})
    assert "Bidirectional `inner/b` is not supported why: it runs once for each step" in message(path)
    graph = importers.load(path, {}, [{"cut": {"outputs": ["inner/d"]}}])
    agree(run(graph, LINE)["inner/d"], LINE @ kernel + bias)


@pytest.mark.parametrize("kind", ["bilinear", "nearest"])
def test_resizing_pictures_of_bytes(tmp_path: Path, kind: str) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (1, 6, 7, 4)).astype(np.uint8)
    model = sequential(layer("Resizing", "y", height=9, width=5, interpolation=kind))
    model["config"]["layers"][0]["config"]["dtype"] = "uint8"

    def places(size: int, count: int) -> Any:
        return (np.arange(count, dtype=np.float32) + 0.5) * np.float32(size / count)

    if kind == "nearest":
        plain = picture[:, np.floor(places(6, 9)).astype(int)][:, :, np.floor(places(7, 5)).astype(int)]
    else:
        plain = picture.astype(np.float32)
        for axis, (size, count) in ((1, (6, 9)), (2, (7, 5))):
            at = (places(size, count) - 0.5).clip(0, size - 1)
            low, high = np.floor(at).astype(int), np.minimum(np.floor(at).astype(int) + 1, size - 1)
            part = (at - low).reshape([-1 if index == axis else 1 for index in range(4)])
            plain = plain.take(low, axis) * (1 - part) + plain.take(high, axis) * part
    two = imported(hdf5(tmp_path / "m.h5", model, version="2.15.0"), picture)
    assert two.dtype == np.float32
    agree(two, plain.astype(np.float32))
    three = imported(archive(tmp_path / "m.keras", model, {}), picture)
    assert three.dtype == np.uint8
    near = np.abs(plain - np.floor(plain) - 0.5) < 1e-4  # a tie in exact numbers
    np.testing.assert_array_equal(three[~near], np.round(plain[~near]))


def test_a_model_of_bytes_that_begins_as_efficientnet_does(tmp_path: Path) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (1, 6, 7, 3)).astype(np.uint8)
    mean, variance = np.float32([0.4, 0.5, 0.6]), np.float32([0.05, 0.06, 0.07])
    scale = {"class_name": "__tensor__", "config": {"dtype": "float32", "value": [2.0, 4.0, 8.0]}}
    model = sequential(
        layer("Rescaling", "r", scale=1 / 255, offset=0.0),
        layer("Normalization", "n", axis=[-1], mean=None, variance=None),
        layer("Rescaling", "s", scale=scale, offset=0.0),
        shape=(None, 6, 7, 3),
    )
    model["config"]["layers"][0]["config"]["dtype"] = "uint8"
    path = hdf5(tmp_path / "m.h5", model, {"n": [mean, variance, np.float32(7)]})
    agree(imported(path, picture), (picture / 255 - mean) / np.sqrt(variance) * [2, 4, 8])


@pytest.mark.parametrize("mode", [1, 2])
def test_normalising_by_the_sample_or_batch_is_refused(tmp_path: Path, mode: int) -> None:
    model = sequential(layer("BatchNormalization", "b", mode=mode, axis=-1), shape=(None, 4))
    path = hdf5(tmp_path / "m.h5", model, {"b": [numbers(4)] * 4}, version="1.2.2")
    assert matches(rf"has `mode: {mode}` why: .*each sample or batch", message(path))


def test_kernels_of_theano_and_of_keras_1(tmp_path: Path) -> None:
    kernel, bias = numbers(3, 2, 4, 5), numbers(5)
    plain = judge.conv(X, kernel, (1, 1), False) + bias

    def saved(name: str, first: Any, weights: Any, version: str, backend: str = "tensorflow") -> Path:
        path = hdf5(
            tmp_path / name, {"class_name": "Sequential", "config": [first]}, {"c": [weights, bias]}, version
        )
        with h5py.File(path, "a") as file:
            file.attrs["backend"] = backend
        return path

    turned = np.ascontiguousarray(kernel[::-1, ::-1])
    two = layer("Conv2D", "c", filters=5, kernel_size=[3, 2], batch_input_shape=[None, 6, 7, 4])
    agree(imported(saved("theano.h5", two, turned, "2.0.4", "theano"), X), plain)
    one = layer("Convolution2D", "c", nb_filter=5, nb_row=3, nb_col=2, dim_ordering="th",
                batch_input_shape=[None, 4, 6, 7])  # fmt: skip
    found = imported(saved("one.h5", one, kernel.transpose(3, 2, 0, 1), "1.2.2"), X.transpose(0, 3, 1, 2))
    agree(found, plain.transpose(0, 3, 1, 2))
    taps = numbers(3, 4, 5)
    first = layer("Convolution1D", "c", nb_filter=5, filter_length=3, batch_input_shape=[None, 9, 4])
    line = sum(LINE[:, at : at + 7] @ taps[at] for at in range(3)) + bias
    agree(imported(saved("line.h5", first, taps[:, None], "1.2.2"), LINE), line)
    older = taps.transpose(2, 1, 0)[..., None]
    agree(imported(saved("older.h5", first, older, "1.0.8"), LINE), line)


def test_transposed_convolutions_with_output_padding(tmp_path: Path) -> None:
    """SAME cuts as the gradient of a convolution of the larger picture pads: what is odd goes behind."""
    bench, kernel = Bench(), numbers(3, 3, 5, 4)
    whole = judge.conv_transpose(X, kernel, 2, False)
    found = bench(X, "Conv2DTranspose", kernel, filters=5, kernel_size=3, strides=2, padding="same",
                  output_padding=1, use_bias=False)  # fmt: skip
    bench.agree(found, whole[:, :12, :14])
    found = bench(X, "Conv2DTranspose", kernel, filters=5, kernel_size=3, strides=2, padding="same",
                  output_padding=0, use_bias=False)  # fmt: skip
    bench.agree(found, whole[:, 1:12, 1:14])
    found = bench(X, "Conv2DTranspose", kernel, filters=5, kernel_size=3, strides=2, padding="valid",
                  output_padding=1, use_bias=False)  # fmt: skip
    bench.agree(found, np.pad(whole, ((0, 0), (0, 1), (0, 1), (0, 0))))
    bench.check(tmp_path)


def test_half_precision_is_told(tmp_path: Path) -> None:
    policy = {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    for number, dtype in enumerate((policy, "mixed_float16")):
        model = json.loads(json.dumps(BOTH))
        model["config"]["layers"][1]["config"]["dtype"] = dtype
        graph = importers.load(hdf5(tmp_path / f"{number}.h5", model, WEIGHTS))
        agree(run(graph, X)["b"], wanted())
        assert source_of(graph)["notes"] == [
            "1 layers that calculate in half precision do so in float32 here"
        ]


def test_what_a_file_is_counts_not_what_it_is_named(tmp_path: Path) -> None:
    whole = hdf5(tmp_path / "a.h5", BOTH, WEIGHTS)
    paths = {"layers/conv2d": WEIGHTS["c"], "layers/batch_normalization": WEIGHTS["b"]}
    zipped = archive(tmp_path / "b.keras", BOTH, paths)
    shutil.copy(whole, tmp_path / "c.keras")
    shutil.copy(zipped, tmp_path / "d.h5")
    for name in ("c.keras", "d.h5"):
        agree(imported(tmp_path / name, X), wanted())
    bare = hdf5(tmp_path / "e.h5", BOTH, {})
    agree(imported(bare, X, weights=tmp_path / "d.h5"), wanted())
    (tmp_path / "f.keras").write_bytes(b"nothing of the kind")
    assert "the .keras file is truncated or damaged" in message(tmp_path / "f.keras")


def test_weights_alone_are_told_from_other_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "new.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=numbers(2, 2))
    assert matches("holds weights without the model .*`weights:`", message(tmp_path / "new.weights.h5"))
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("pictures", data=numbers(2, 2))
    assert "the HDF5 file holds no Keras model" in message(tmp_path / "data.h5")


def test_a_sequential_without_an_input_layer_has_its_shape_in_the_file(tmp_path: Path) -> None:
    model = {"class_name": "Sequential", "config": {"name": "net", "build_input_shape": [None, 6, 7, 4]}}
    model["config"]["layers"] = BOTH["config"]["layers"][1:]  # type: ignore[index]
    graph = importers.load(hdf5(tmp_path / "m.h5", model, WEIGHTS))
    assert graph.inputs == ["c_input"]
    agree(run(graph, X)["b"], wanted())


def test_models_that_call_each_other_without_end_stop(tmp_path: Path) -> None:
    """Nested 40 deep, each called twice: a trap that holds no layers at all."""
    model = functional([source("x", 4)], ["x"], ["x"])
    for depth in range(40):
        whole = {**model, "name": f"m{depth}", "inbound_nodes": [[["x", 0, 0, {}]], [["x", 0, 0, {}]]]}
        model = functional([source("x", 4), whole], ["x"], [[f"m{depth}", 0, 0], [f"m{depth}", 1, 0]])
        model["config"]["output_layers"] = model["config"]["output_layers"][1:]
    assert "calls more than 20000 layers" in message(archive(tmp_path / "m.keras", model, {}))


def test_entries_of_an_archive_need_not_count_from_0(tmp_path: Path) -> None:
    """Keras numbers classes over a whole session where it makes names itself."""
    paths = {"layers/conv2d_3:c": WEIGHTS["c"], "layers/batch_normalization_7:b": WEIGHTS["b"]}
    path = archive(tmp_path / "m.keras", BOTH, paths)
    with zipfile.ZipFile(path, "a") as parts:
        parts.writestr("assets/labels.txt", "cat")
    agree(imported(path, X), wanted())
