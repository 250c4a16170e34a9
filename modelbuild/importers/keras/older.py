"""The layers of Keras 1 under their present names and settings. Source: Keras 2.0's legacy interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
