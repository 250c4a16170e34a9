"""Keras files that cannot be read: damaged, malicious, or with layers that are not known."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.importers import mutations
from tests.importers.keras.test_files import BOTH, CONV, WEIGHTS, B, K, nested
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
from tests.importers.refused import matches, message


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (layer("LSTM", "y", units=3), "LSTM `y` is not supported why: it runs once for each step"),
        (
            layer("MyBlock", "y"),
            "its class `MyBlock` is not one of Keras's: its calculation is Python code, which is not in the "
            r"file do: cut the model .*load_model\('m.keras', custom_objects={'MyBlock': MyBlock}\) "
            r"model.export\('m.onnx', format='onnx'\)",
        ),
        (
            {**layer("Net", "y"), "module": "mine.blocks", "registered_name": "lab>Net"},
            "its class `Net` of the module `mine.blocks` registered as `lab>Net` is not one of Keras's",
        ),
        (layer("Conv2d", "y"), "did you mean `Conv2D`"),
        ({**layer("Dense", "y"), "registered_name": "mine>Dense"}, "`Dense` registered as `mine>Dense`"),
        (layer("Rescaling", "y", scale=[1, [2, 3]]), "has a `scale` that is no number, nor one a channel"),
        (layer("Rescaling", "y", offset=float("nan")), "has a `offset` that is no number"),
        (layer("Masking", "y"), "marks steps of a sequence"),
        (layer("Bidirectional", "y", layer=layer("LSTM", "i")), "runs once for each step"),
        (
            layer("Embedding", "y"),
            "no translation of this layer of Keras is built in do: cut .*load_model\\('m.ker",
        ),
        (
            layer("TimeDistributed", "y", layer=layer("GRU", "i")),
            "holds the layer GRU, which is not supported",
        ),
        (layer("QuantizeWrapperV2", "y"), "quantizes while the model trains .*TFLiteConverter"),
        (layer("PruneLowMagnitude", "y"), "strip_pruning"),
        (
            layer(
                "Dense",
                "y",
                dtype={"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}},
            ),
            r"is quantized \(`int8_from_float32`\)",
        ),
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
