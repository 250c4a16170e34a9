"""The layers of Keras 1 under their present names and settings. Source: Keras 2.0's legacy interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelbuild.graph.model import Array

Config = Mapping[str, Any]
_KINDS: Mapping[str, str] = {
    "AtrousConvolution2D": "Conv2D", "Convolution1D": "Conv1D", "Convolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose", "SeparableConvolution2D": "SeparableConv2D",
}  # fmt: skip
_MERGES = {"ave": "Average", "concat": "Concatenate", "max": "Maximum", "mul": "Multiply", "sum": "Add"}
_SETTINGS: Mapping[str, str] = {
    "atrous_rate": "dilation_rate", "bias": "use_bias", "border_mode": "padding", "concat_axis": "axis",
    "nb_filter": "filters", "output_dim": "units", "p": "rate", "pool_length": "pool_size",
    "stride": "strides", "subsample": "strides", "subsample_length": "strides",
    "filter_length": "kernel_size",
}  # fmt: skip
_ORDERS = {"tf": "channels_last", "th": "channels_first"}


def renewed(kind: str, config: Config, version: int) -> tuple[str, Config]:
    """The class and the settings of a layer in the words of Keras 2, `version` being that of the file."""
    if version > 1:
        return kind, config
    found = {_SETTINGS.get(key, key): value for key, value in config.items()}
    if "nb_row" in config and "nb_col" in config:
        found["kernel_size"] = [config["nb_row"], config["nb_col"]]
    if "dim_ordering" in config:
        found["data_format"] = _ORDERS.get(str(config["dim_ordering"]), "channels_last")
    if kind == "Merge":
        return _MERGES.get(str(config.get("mode")), kind), found
    return _KINDS.get(kind, kind), found


# Of Keras 1: class -> the axes of its kernel in the present order, with channels in front and at the end.
_KERNELS: Mapping[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]] = {
    "Conv2D": ((2, 3, 1, 0), None),
    "Conv2DTranspose": ((2, 3, 0, 1), (0, 1, 3, 2)),
    "Conv3D": ((2, 3, 4, 1, 0), None),
}
# Layers whose kernels Theano turned around, since it convolves where others correlate.
_TURNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


def kernel(kind: str, config: Config, version: int, backend: str, value: Array) -> Array:
    """A kernel of a layer of the class `kind` in the present order of axes and of taps.

    Source: Keras 2.3, `preprocess_weights_for_loading`."""
    if version == 1 and kind == "Conv1D" and value.ndim == 4:
        legacy = value.shape[1] != 1 or value.shape[3] != config.get("filters")
        value = (value.transpose(2, 3, 1, 0) if legacy else value)[:, 0]
    elif version == 1 and kind in _KERNELS:
        perm = _KERNELS[kind][0 if config.get("data_format") == "channels_first" else 1]
        value = value.transpose(perm) if perm is not None and len(perm) == value.ndim else value
    if backend == "theano" and kind in _TURNED and value.ndim > 2:
        value = np.flip(value, tuple(range(value.ndim - 2)))
    return value
