"""Writes small Keras files without Keras: HDF5 files of versions 1 to 3, and .keras archives."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Config = dict[str, Any]
Weights = Mapping[str, Sequence[Array]]


def numbers(*shape: int, seed: int = 0) -> Array:
    """Numbers around 0."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def layer(kind: str, name: str, **settings: Any) -> Config:
    """The description of one layer of a Sequential."""
    return {"class_name": kind, "config": {"name": name, **settings}}


def sequential(*layers: Config, shape: Sequence[int | None] = (None, 6, 7, 4), name: str = "net") -> Config:
    """A Sequential model whose input is `x`."""
    first = layer("InputLayer", "x", batch_input_shape=list(shape), dtype="float32")
    return {"class_name": "Sequential", "config": {"name": name, "layers": [first, *layers]}}


def called(description: Config, *calls: Sequence[Any]) -> Config:
    """A layer of a functional model: each call lists layers, or [layer, call, output]."""
    nodes = [[[*((item, 0, 0) if isinstance(item, str) else item), {}] for item in call] for call in calls]
    return {**description, "name": description["config"]["name"], "inbound_nodes": nodes}


def source(name: str, *shape: int | None) -> Config:
    """An input of a functional model."""
    return called(layer("InputLayer", name, batch_input_shape=[None, *shape], dtype="float32"))


def functional(layers: Sequence[Config], inputs: Sequence[str], outputs: Sequence[Any]) -> Config:
    """A functional model."""
    borders = {
        f"{side}_layers": [[item, 0, 0] if isinstance(item, str) else list(item) for item in listed]
        for side, listed in (("input", inputs), ("output", outputs))
    }
    return {"class_name": "Functional", "config": {"name": "net", "layers": list(layers), **borders}}


def lambda_layer(function: str, name: str, node: list[Any]) -> Config:
    """A function as Keras 2 writes it."""
    kind = "SlicingOpLambda" if function.endswith("getitem") else "TFOpLambda"
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": [node]}


def tensor(name: str, index: int = 0) -> Config:
    """A tensor as Keras 3 writes it."""
    return {"class_name": "__keras_tensor__", "config": {"shape": [1], "keras_history": [name, 0, index]}}


def operation(kind: str, name: str, *arguments: Any, module: str = "numpy", **settings: Any) -> Config:
    """A function as Keras 3 writes it."""
    entry = {"class_name": kind, "module": f"keras.src.ops.{module}", "name": name, "registered_name": kind}
    entry["config"] = {"name": name, **settings}
    listed = [tensor(item) if item in ("x", "z") else item for item in arguments]
    return {**entry, "inbound_nodes": [{"args": listed, "kwargs": {}}]}


def hdf5(
    path: Path,
    model: Config | None,
    weights: Weights | None = None,
    version: str = "2.4.0",
    group: str = "model_weights",
) -> Path:
    """A file as `model.save` writes it (with `model` None: as `save_weights` does, at the root)."""
    with h5py.File(path, "w") as file:
        if model is not None:
            file.attrs["model_config"] = json.dumps(model)
            file.attrs["keras_version"] = version.encode()
        top = file.create_group(group) if group else file
        names = list(weights or {})
        top.attrs["layer_names"] = np.array([name.encode() for name in names] or [b""])
        for name in names:
            place = top.create_group(name)
            arrays = (weights or {})[name]
            listed = [f"{name}/weight_{index}:0" for index in range(len(arrays))]
            place.attrs["weight_names"] = np.array([item.encode() for item in listed])
            for item, array in zip(listed, arrays, strict=True):
                place.create_dataset(item, data=array)
    return path


def archive(path: Path, model: Config, weights: Mapping[str, Sequence[Array]], named: bool = True) -> Path:
    """A .keras file; `weights` are by their path in the file (`layers/conv2d`), with the layer's name after
    a colon where `named`."""
    memory = BytesIO()
    with h5py.File(memory, "w") as file:
        for key, arrays in weights.items():
            place, _, name = key.partition(":")
            values = file.create_group(f"{place}/vars")
            if name and named:
                values.attrs["name"] = name
            for index, array in enumerate(arrays):
                values.create_dataset(str(index), data=array)
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        parts.writestr("config.json", json.dumps(model))
        parts.writestr("model.weights.h5", memory.getvalue())
    return path
