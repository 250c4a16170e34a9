"""Keras files: versions and forms, nested and shared layers, edits, and one clear message for all else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import source_of
from tests.importers.keras.judge import agree, conv, imported, run
from tests.importers.keras.writer import (
    Config,
    archive,
    called,
    functional,
    hdf5,
    layer,
    numbers,
    sequential,
    source,
)
from tests.importers.refused import matches, message

X = numbers(1, 6, 7, 4, seed=9)
K, B = numbers(3, 3, 4, 5), numbers(5)
GAMMA, BETA, MEAN, VARIANCE = (numbers(5, seed=i) ** 2 + 0.5 for i in range(4))
CONV = layer("Conv2D", "c", filters=5, kernel_size=[3, 3], activation="relu")
NORMAL = layer("BatchNormalization", "b", axis=-1)
BOTH = sequential(CONV, NORMAL)
WEIGHTS = {"c": [K, B], "b": [GAMMA, BETA, MEAN, VARIANCE]}


def wanted(x: Any = X) -> Any:
    plain = np.maximum(conv(x, K, (1, 1), False) + B, 0)
    return (plain - MEAN) / np.sqrt(VARIANCE + 1e-3) * GAMMA + BETA


def three(entries: list[Config], shape: list[int | None]) -> Config:
    """A Sequential in the words of Keras 3."""
    first = {**layer("InputLayer", "x", batch_shape=shape, dtype="float32"), "module": "keras.layers"}
    listed = [first, *({**entry, "module": "keras.layers", "registered_name": None} for entry in entries)]
    return {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": listed}}


def test_every_form_of_file_gives_the_same(tmp_path: Path) -> None:
    new = three([CONV, NORMAL], [None, 6, 7, 4])
    paths = {"layers/conv2d:c": WEIGHTS["c"], "layers/batch_normalization:b": WEIGHTS["b"]}
    old = {"layers/conv2d": WEIGHTS["c"], "layers/batch_normalization": WEIGHTS["b"]}
    tf = {f"_layer_checkpoint_dependencies/{name.split('/')[1]}": value for name, value in old.items()}
    files = [
        hdf5(tmp_path / "two.h5", BOTH, WEIGHTS),
        hdf5(tmp_path / "three.hdf5", new, WEIGHTS, version="3.5.0"),
        archive(tmp_path / "named.keras", new, paths),
        archive(tmp_path / "counted.keras", new, old),
        archive(tmp_path / "tf.keras", BOTH, tf),
    ]
    for file in files:
        graph = importers.load(file)
        assert (graph.inputs, graph.outputs) == (["x"], ["b"])
        assert graph.shapes["x"] == (1, 4, 6, 7)
        assert graph.dtypes["x"] == np.float32
        assert source_of(graph)["layouts"] == {"x": "NHWC", "b": "NHWC"}
        agree(run(graph, X)["b"], wanted())


def test_models_of_keras_1_are_read(tmp_path: Path) -> None:
    first = layer("Convolution2D", "c", nb_filter=5, nb_row=3, nb_col=3, border_mode="valid",
                  activation="relu", bias=True,
                  subsample=[1, 1], dim_ordering="tf", batch_input_shape=[None, 6, 7, 4])  # fmt: skip
    rest = [
        NORMAL,
        layer("Dropout", "d", p=0.5),
        layer("Flatten", "f"),
        layer("Dense", "y", output_dim=3, bias=False),
    ]
    model = {"class_name": "Sequential", "config": [first, *rest]}
    kernel = numbers(100, 3)
    path = hdf5(tmp_path / "one.h5", model, {**WEIGHTS, "y": [kernel]}, version="1.2.2")
    graph = importers.load(path)
    assert graph.inputs == ["c_input"]
    agree(run(graph, X)["y"], wanted().reshape(1, -1) @ kernel)
    assert source_of(graph)["producer"] == "keras 1.2.2"


def test_weights_may_lie_apart(tmp_path: Path) -> None:
    model = hdf5(tmp_path / "m.h5", BOTH, {})
    assert "Conv2D `c` has no weights in the file" in message(model)
    weights = hdf5(tmp_path / "w.h5", None, WEIGHTS, group="")
    agree(imported(model, X, weights=weights), wanted())
    assert "w.h5: the file holds weights without the model" in message(weights)
    (tmp_path / "broken.h5").write_bytes(weights.read_bytes()[:300])
    assert "broken.h5: the HDF5 file is truncated or damaged" in message(
        model, weights=tmp_path / "broken.h5"
    )
    assert importers.discover(model) == []


def inner() -> Config:
    parts = [
        source("i", 6, 7, 4),
        called(CONV, ["i"]),
        called({**NORMAL, "config": {**NORMAL["config"]}}, ["c"]),
        called(layer("GlobalAveragePooling2D", "g"), ["c"]),
    ]
    return functional(parts, ["i"], ["b", "g"])


def nested() -> Config:
    """A model with two outputs inside, called twice; a layer after it that both share."""
    whole = {**inner(), "name": "inner", "inbound_nodes": [[["l", 0, 0, {}]], [["r", 0, 0, {}]]]}
    dense = called(layer("Dense", "d", units=2), [["inner", 0, 1]], [["inner", 1, 1]])
    total = called(layer("Add", "s"), [["inner", 0, 0], ["inner", 1, 0]])
    return functional([source("l", 6, 7, 4), source("r", 6, 7, 4), whole, dense, total], ["l", "r"],
                      ["s", ["d", 0, 0], ["d", 1, 0]])  # fmt: skip


def test_nested_and_shared_layers(tmp_path: Path) -> None:
    kernel, bias, other = numbers(5, 2), numbers(2), numbers(1, 6, 7, 4, seed=4)
    trained_first = [K, B, GAMMA, BETA, MEAN, VARIANCE]
    files = [
        hdf5(tmp_path / "m.h5", nested(), {"inner": trained_first, "d": [kernel, bias]}),
        archive(
            tmp_path / "m.keras",
            nested(),
            {
                "layers/functional/layers/conv2d": [K, B],
                "layers/functional/layers/batch_normalization": WEIGHTS["b"],
                "layers/dense": [kernel, bias],
            },
        ),
    ]
    for file in files:
        graph = importers.load(file)
        assert (graph.inputs, graph.outputs) == (["l", "r"], ["s", "d", "d_1"])
        found = run(graph, X, other)
        agree(found["s"], wanted() + wanted(other))
        means = [np.maximum(conv(data, K, (1, 1), False) + B, 0).mean((1, 2)) for data in (X, other)]
        agree(found["d"], means[0] @ kernel + bias)
        agree(found["d_1"], means[1] @ kernel + bias)
        assert ("inner/c",) in {node.origin for node in graph.nodes}


def test_frozen_layers_of_a_nested_model_stand_last(tmp_path: Path) -> None:
    parts = [layer("Conv2D", "c", filters=5, kernel_size=3, activation="relu", trainable=False), NORMAL]
    model = sequential({**sequential(*parts), "config": {**sequential(*parts)["config"], "name": "inner"}})
    path = hdf5(tmp_path / "m.h5", model, {"inner": [GAMMA, BETA, K, B, MEAN, VARIANCE]})
    agree(imported(path, X), wanted())
    lacking = hdf5(tmp_path / "l.h5", model, {"inner": [GAMMA, BETA, K, B, MEAN]})
    assert "its layers have 6, the file holds 5" in message(lacking)


def test_open_sizes_are_asked_for(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "m.h5", sequential(CONV, NORMAL, shape=(None, None, None, 4)), WEIGHTS)
    error = message(path)
    assert "input `x` has no fixed size in dimension 2, 3" in error
    assert "`inputs: {x: {shape: [1, 4, ?, ?]}}`" in error
    graph = importers.load(path, {"x": (2, 4, 6, 7)})
    assert (graph.shapes["x"], graph.shapes["b"]) == ((2, 4, 6, 7), (2, 5, 4, 5))
    assert matches(
        r"inputs.x: the shape \[1, 6, 7, 4\].*own is \[\?, 4", message(path, input_shapes={"x": (1, 6, 7, 4)})
    )
    assert "has no input `y`" in message(path, input_shapes={"x": (1, 4, 6, 7), "y": (1,)})


def test_layers_that_are_not_supported_are_refused_or_cut_off(tmp_path: Path) -> None:
    model = sequential(CONV, NORMAL, layer("Lambda", "decode", function=["x"]), layer("Flatten", "y"))
    path = hdf5(tmp_path / "m.h5", model, WEIGHTS)
    assert matches("Lambda `decode` is not supported why: .*Python code.*do: cut", message(path))
    graph = importers.load(path, {}, [{"cut": {"outputs": ["b"]}}])
    agree(run(graph, X)["b"], wanted())
    both = importers.load(path, {}, [{"cut": {"inputs": ["c"], "outputs": ["b"]}}, {"rename": {"b": "end"}}])
    assert (both.inputs, both.outputs) == (["c"], ["end"])
    assert "did you mean `decode`" in message(path, edits=[{"cut": {"outputs": ["decoed"]}}])


@pytest.mark.parametrize("name", ["mlperf_resnet8_cifar10", "mlperf_vww_96"])
def test_real_models_equal_their_references(shared_data: Path, name: str) -> None:
    reference = np.load(shared_data / f"refs/keras_{name}.npz")
    batch, height, width, channels = reference["x"].shape
    graph = importers.load(
        shared_data / f"models/keras/{name}.h5", {"input_1": (batch, channels, height, width)}
    )
    clean, _ = normalise(graph)
    for form in (graph, clean):
        agree(run(form, reference["x"])["dense"], reference["y"], 1e-4)
    assert not {"Transpose", "Identity", "BatchNormalization"} & {node.op for node in clean.nodes}
