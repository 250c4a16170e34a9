"""Which weights a layer has, in the order in which Keras makes and saves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.importers.keras.config import Layer


@dataclass(frozen=True)
class Variable:
    """One array. `trained` ones stand first in the list of a nested model."""

    name: str
    trained: bool = True


_KERNEL = (("kernel", ""), ("bias", "use_bias"))
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
}
_COUNTED = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count"})


def variables(layer: Layer) -> list[Variable]:
    """The weights of `layer`, none for a class without or an unknown one."""
    listed = _VARIABLES.get(layer.kind, ())
    if layer.kind == "Normalization" and layer.config.get("mean") is not None:
        return []
    there = [name for name, setting in listed if not setting or layer.config.get(setting, True)]
    return [Variable(name, name not in _COUNTED) for name in there]
