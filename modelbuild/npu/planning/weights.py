"""How many bytes of constants an operator needs in SRAM for a region of its output: from shapes alone.

Layouts: docs/program-format.md; `weights | records` of a convolution, `rows | columns` of a resize.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers
from modelbuild.npu.planning.plan import Region

CHANNEL_BYTES = 9  # a channel's bias, multiplier and shift; an average's count, multiplier and shift
SCALING_BYTES = 5  # a multiplier and a shift
RESCALE_BYTES = 2 * SCALING_BYTES  # for what is above zero, and for what is below
SUM_BYTES = 9  # two multipliers and a shift
SEGMENT_BYTES = 12  # a curve's value, slope and bend
POSITION_BYTES = 8  # a resize's two indices and two weights
TABLE_ENTRIES = 256


def constant_size(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    """Bytes that have to lie in SRAM while `region` of the operator's output is computed; 0: it has none.

    A convolution's depend on the region's planes only, a resize's on its rows only.
    """
    size = _SIZES.get(operator.kind)
    return size(model, operator, region) if size else 0


def filter_bytes(model: FixedModel, operator: FixedOperator) -> int:
    """Bytes of the weights of one output channel of a `conv` or `gemm`, without its record."""
    weight = model.constants[operator.constants["weight"]]
    return math.prod(weight.shape[1:]) * weight_bytes(weight)


def weight_bytes(weight: Integers) -> int:
    """Bytes a weight, by its type; only what is neither int8 nor int16 is looked at."""
    if weight.dtype in (np.int8, np.int16):
        return weight.dtype.itemsize
    return 1 if int(weight.min()) >= -128 and int(weight.max()) <= 127 else 2


def _weighted(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return region.planes * (filter_bytes(model, operator) + CHANNEL_BYTES)


def _average(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return CHANNEL_BYTES * len(model.constants[operator.constants["count"]])


def _resize(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    columns = model.tensors[operator.outputs[0]].shape[-1]
    return POSITION_BYTES * (region.rows + columns)


def rescale_records(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    """How many records a `rescale` needs: one a plane, but one in all where a plane is one row."""
    shape = model.tensors[operator.outputs[0]].shape
    return region.planes if len(shape) > 2 and shape[-2] > 1 else 1


def _rescale(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return RESCALE_BYTES * rescale_records(model, operator, region)


def _prelu(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return RESCALE_BYTES * region.planes


def _sum(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return SUM_BYTES


def _product(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return SCALING_BYTES


def _table(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return TABLE_ENTRIES * model.tensors[operator.outputs[0]].dtype.itemsize


def _curve(model: FixedModel, operator: FixedOperator, region: Region) -> int:
    return SEGMENT_BYTES * len(model.constants[operator.constants["value"]])


_SIZES: dict[str, Callable[[FixedModel, FixedOperator, Region], int]] = {
    "add": _sum,
    "average_pool": _average,
    "concat": _rescale,  # of a part of it whose scale is another one
    "conv": _weighted,
    "curve": _curve,
    "gemm": _weighted,
    "multiply": _product,
    "prelu": _prelu,
    "rescale": _rescale,
    "resize_linear": _resize,
    "table": _table,
}
