"""Which weights a layer has, in the order in which Keras makes and saves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelbuild.importers.keras.config import Layer


@dataclass(frozen=True)
class Variable:
    """One array. `trained` ones stand first in the list of a nested model."""

    name: str
    trained: bool = True


_KERNEL = (("kernel", ""), ("bias", "use_bias"))
_RECURRENT = (("kernel", ""), ("recurrent_kernel", ""), ("bias", "use_bias"))  # refused, but counted
# Class -> (variable, the setting without which it is not there)
_VARIABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Dense"), _KERNEL),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _KERNEL),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"),
        (("depthwise_kernel", ""), ("pointwise_kernel", ""), ("bias", "use_bias")),
    ),
    "BatchNormalization": (
        ("gamma", "scale"),
        ("beta", "center"),
        ("moving_mean", ""),
        ("moving_variance", ""),
    ),
    "LayerNormalization": (("gamma", "scale"), ("beta", "center")),
    "Normalization": (("mean", ""), ("variance", ""), ("count", "")),
    "PReLU": (("alpha", ""),),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "ConvLSTM2D"), _RECURRENT),
}
_COUNTED = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count"})


def variables(layer: Layer) -> list[Variable]:
    """The weights of `layer`, none for a class without or an unknown one."""
    inner = wrapped(layer)
    if inner is not None:
        return variables(inner) * (2 if layer.kind == "Bidirectional" else 1)
    listed = _VARIABLES.get(layer.kind, ())
    if layer.kind == "Normalization" and layer.config.get("mean") is not None:
        return []
    there = [name for name, setting in listed if not setting or layer.config.get(setting, True)]
    return [Variable(name, name not in _COUNTED) for name in there]


def wrapped(layer: Layer) -> Layer | None:
    """The layer inside of a TimeDistributed or Bidirectional one."""
    entry = layer.config.get("layer") if layer.kind in ("TimeDistributed", "Bidirectional") else None
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return None
    kind = entry.get("class_name")
    return (
        replace(layer, kind=kind, config=entry["config"])
        if isinstance(kind, str) and kind != layer.kind
        else None
    )
