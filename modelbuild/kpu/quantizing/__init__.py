"""Numerics of one KPU layer: bytes of weights, batch normalization, activation table. No graph."""

from modelbuild.kpu.quantizing.batch_norm import BatchNorm, batch_norm
from modelbuild.kpu.quantizing.layer import layer_constants
from modelbuild.kpu.quantizing.segments import Segments, fit_segments
from modelbuild.kpu.quantizing.weights import UnsignedWeights, sum_bounds, unsigned_weights

__all__ = [
    "BatchNorm",
    "Segments",
    "UnsignedWeights",
    "batch_norm",
    "fit_segments",
    "layer_constants",
    "sum_bounds",
    "unsigned_weights",
]
