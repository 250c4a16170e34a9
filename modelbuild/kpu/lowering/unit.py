"""Layers that leave every byte as it is, at the scale of what they read: for their pool, or to move a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.lowering.layer import Codes, Layer
from modelbuild.quantize.plan import Step


def unit(x: QuantizedTensor, pool: str, step: Step) -> Layer:
    """A 1x1 convolution of x with the unit matrix, and a pool."""
    return _layer(x, np.eye(x.shape[1], dtype=np.int8)[:, :, None, None], pool, False, step)


def moved(x: QuantizedTensor, by: tuple[int, int], step: Step) -> Layer:
    """Cell (r, c) is cell (r + by[0], c + by[1]) of x, each 0 or 1; zero behind its end."""
    weight = np.zeros((x.shape[1], 1, 3, 3), np.int8)
    weight[:, :, 1 + by[0], 1 + by[1]] = 1
    return _layer(x, weight, "bypass", True, step)


def dropped(x: QuantizedTensor, pool: str, step: Step) -> Layer:
    """Cell (r, c) is cell (r - 1, c - 1) of x, and code 0 before its begin; depthwise, or with a pool."""
    channels, depthwise = x.shape[1], pool == "bypass"
    weight = np.zeros((channels, 1 if depthwise else channels, 3, 3), np.int8)
    weight[:, :, 0, 0] = 1 if depthwise else np.eye(channels)
    return _layer(x, weight, pool, depthwise, step)._replace(raw=True)


def beside_itself(x: QuantizedTensor, step: Step) -> Layer:
    """x, and behind it as many channels whose row r is row r + 1 of x; zero behind its end."""
    channels = x.shape[1]
    weight = np.zeros((2 * channels, channels, 3, 3), np.int8)
    weight[:channels, :, 1, 1] = weight[channels:, :, 2, 1] = np.eye(channels)
    return _layer(x, weight, "bypass", False, step)


def _layer(x: QuantizedTensor, weight: NDArray[np.int8], pool: str, depthwise: bool, step: Step) -> Layer:
    codes = Codes(weight, np.ones(len(weight)), np.zeros(len(weight), np.int64))
    return Layer(x, codes, lambda values: values, pool, depthwise, step)
