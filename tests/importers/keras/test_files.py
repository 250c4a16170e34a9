"""Keras files: versions and forms, nested and shared layers, edits, and one clear message for all else."""

from __future__ import annotations

import importlib.util
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import source_of
from tests.importers import mutations
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
from tests.importers.mutations import Sample

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


def message(path: Path, **arguments: Any) -> str:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path, **arguments)
    assert caught.value.exit_code == 2
    return " ".join(str(caught.value).split())


def matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


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
    assert matches("Lambda `decode` is not supported why: .*Python code.*do: ", message(path))
    graph = importers.load(path, {}, [{"cut": {"outputs": ["b"]}}])
    agree(run(graph, X)["b"], wanted())
    both = importers.load(path, {}, [{"cut": {"inputs": ["c"], "outputs": ["b"]}}, {"rename": {"b": "end"}}])
    assert (both.inputs, both.outputs) == (["c"], ["end"])
    assert "did you mean `decode`" in message(path, edits=[{"cut": {"outputs": ["decoed"]}}])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (layer("LSTM", "y", units=3), "LSTM `y` is not supported why: it runs once for each step"),
        (layer("MyBlock", "y"), "MyBlock `y` is not supported why: its calculation is Python code"),
        (layer("Conv2d", "y"), "did you mean `Conv2D`"),
        ({**layer("Dense", "y"), "registered_name": "mine>Dense"}, "Dense `y` is not supported"),
        ({**layer("Add", "y"), "module": "keras.src.ops.numpy"}, "Add `y` is not supported"),
        (layer("Activation", "y", activation="mine"), "has the activation `mine`, which is not known"),
        (layer("Conv2D", "y", filters=5, kernel_size=[3]), "needs `kernel`|no weights"),
        (layer("Conv2D", "y", filters=0, kernel_size=3), "has `filters: 0` why: it must be a whole number"),
        (layer("Conv2D", "y", filters=2, kernel_size=[3, 2**40]), "must be 2 whole numbers"),
        (
            layer("MaxPooling2D", "y", padding="causal"),
            "has `padding: causal` why: it must be one of valid, same",
        ),
        (layer("MaxPooling2D", "y", pool_size=9), "has a window of 9 on 6 cells"),
        (layer("LeakyReLU", "y", alpha="x"), "must be a number"),
        (layer("LeakyReLU", "y", alpha=float("nan")), "must be a number"),
        (layer("Reshape", "y", target_shape=[5, -1]), "the number of values differs"),
        (layer("Permute", "y", dims=[1, 1, 2]), "has `dims"),
        (layer("Cropping2D", "y", cropping=[3, 3]), "takes all of"),
        (layer("Add", "y"), "at least two tensors"),
        (layer("Softmax", "y", axis=7), "has the axis 7 on 4 axes"),
        (layer("BatchNormalization", "y", axis=4), "must be one of 4 axes"),
        (layer("Resizing", "y", height=3, width=3, antialias=True), "crops, pads or smooths"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, entry: Config, words: str) -> None:
    assert matches(words, message(archive(tmp_path / "m.keras", sequential(entry), {})))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"class_name": "Mine", "config": {}}, "the model is a Mine, neither Sequential nor functional"),
        ([1], "there is no model in it"),
        ({"class_name": "Sequential", "config": {"layers": 3}}, "no list of layers"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "has no layers"),
        ({"class_name": "Sequential", "config": {"layers": [CONV]}}, "save the model after it was built"),
        (sequential(CONV, shape=(None, -1, 6, 7)), "has the shape"),
        (functional([source("x", 4)], ["x"], ["y"]), "nothing makes output 0 of the layer `y`"),
        (functional([source("x", 4), source("x", 4)], ["x"], ["x"]), "two layers .* one name"),
        (functional([source("x", 4)], ["z"], ["x"]), "no layer `z` for an input"),
        (functional([source("x", 4), called(layer("ReLU", "y"), [["x", 0, ""]])], ["x"], ["y"]), "described"),
    ],
)  # fmt: skip
def test_damaged_descriptions_are_refused(tmp_path: Path, model: Any, words: str) -> None:
    assert matches(words, message(archive(tmp_path / "m.keras", model, {})))


def test_what_lies_there_instead_of_a_model_is_named(tmp_path: Path) -> None:
    cases = {
        "a.h5": (b"not HDF5", "this is not an HDF5 file"),
        "b.keras": (b"not a ZIP archive", "truncated or damaged"),
        "c.h5": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        "d.h5": (b"", "the file is empty"),
    }
    for name, (data, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        assert words in message(tmp_path / name)
    assert "there is no such file" in message(tmp_path / "none.h5")
    with zipfile.ZipFile(tmp_path / "e.keras", "w") as parts:
        parts.writestr("config.json", json.dumps(BOTH))
        parts.writestr("metadata.json", "{}")
    assert "no Keras model" in message(tmp_path / "e.keras")


def test_numbers_elsewhere_are_never_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(K.tobytes() + B.tobytes())
    hdf5(tmp_path / "other.h5", None, {"c": [K, B]}, group="")
    for kind in ("external link", "soft link", "external storage"):
        path = hdf5(tmp_path / "m.h5", sequential(CONV), {"c": [K, B]})
        with h5py.File(path, "a") as file:
            group = file["model_weights/c/c"]
            del group["weight_0:0"]
            if kind == "external link":
                group["weight_0:0"] = h5py.ExternalLink("other.h5", "c/c/weight_0:0")
            elif kind == "soft link":
                group["weight_0:0"] = h5py.SoftLink("/model_weights/c/c/weight_1:0")
            else:
                group.create_dataset("weight_0:0", K.shape, "<f4", external=[(str(secret), 0, K.nbytes)])
        assert matches(
            "`weight_0:0` in the HDF5 file (is a link|has its numbers in another file)", message(path)
        )


def test_files_that_unfold_to_far_more_are_refused(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "m.h5", sequential(CONV), {"c": [K, B]})
    with h5py.File(path, "a") as file:
        file.create_dataset("bomb", (2**28,), "<f4", compression="gzip", chunks=(2**20,))
    assert path.stat().st_size < 2**20
    assert "would unfold to far more than its size" in message(path)
    bomb = tmp_path / "m.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("metadata.json", "{}")
        parts.writestr("config.json", " " * 2**25)
        parts.writestr("model.weights.h5", b"")
    assert "would unfold to 33554432 bytes" in message(bomb)


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hdf5(tmp_path / "m.h5", BOTH, WEIGHTS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "h5py" else object())
    assert "type `pip install 'modelbuild[keras]'`" in message(path)


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


def samples(folder: Path) -> list[Sample]:
    files = [
        hdf5(folder / "a.h5", BOTH, WEIGHTS),
        hdf5(folder / "b.h5", nested(), {"inner": [K, B, *WEIGHTS["b"]], "d": [numbers(5, 2), numbers(2)]}),
        archive(
            folder / "c.keras", BOTH, {"layers/conv2d": [K, B], "layers/batch_normalization": WEIGHTS["b"]}
        ),
    ]
    return [Sample(file.name, {file.name: file.read_bytes()}) for file in files]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(samples(tmp_path), range(20), tmp_path / "work") == []


@pytest.mark.long
def test_a_thousand_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(samples(tmp_path), range(1000, 2000), tmp_path / "work") == []
