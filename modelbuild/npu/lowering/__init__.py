"""From operators of docs/arithmetic.md to tiles: one function a kind.

`TILES` are kinds that are computed in rows, by themselves or in a group. `LOOPS` loop by themselves from DRAM
to DRAM; of kinds in both the loop takes every shape, and the tiles those that have rows.
"""

from collections.abc import Callable

from modelbuild.npu.emitting.emitter import Emitter
from modelbuild.npu.lowering.broadcast import lower_add, lower_multiply
from modelbuild.npu.lowering.convolution import convolution_tiles, gemm_tiles
from modelbuild.npu.lowering.elementwise import add_tiles, multiply_tiles, prelu_tiles, rescale_tiles
from modelbuild.npu.lowering.functions import curve_tiles, table_tiles
from modelbuild.npu.lowering.joining import lower_concat, lower_pad
from modelbuild.npu.lowering.movement import lower_gather, lower_reshape, lower_slice, lower_transpose
from modelbuild.npu.lowering.operation import Operation
from modelbuild.npu.lowering.pooling import average_pool_tiles, max_pool_tiles
from modelbuild.npu.lowering.resize import resize_tiles
from modelbuild.npu.lowering.rows import lower_matmul, lower_reduce_max, lower_reduce_sum, lower_softmax
from modelbuild.npu.lowering.tiles import Held, Slab, Tiles

__all__ = ["LOOPS", "TILES", "Held", "Operation", "Slab", "Tiles"]

TILES: dict[str, Callable[[Operation], Tiles]] = {
    "add": add_tiles,
    "average_pool": average_pool_tiles,
    "conv": convolution_tiles,
    "curve": curve_tiles,
    "gemm": gemm_tiles,
    "max_pool": max_pool_tiles,
    "multiply": multiply_tiles,
    "prelu": prelu_tiles,
    "rescale": rescale_tiles,
    "resize_linear": resize_tiles,
    "table": table_tiles,
}

LOOPS: dict[str, Callable[[Operation, Emitter], None]] = {
    "add": lower_add,
    "concat": lower_concat,
    "gather": lower_gather,
    "matmul": lower_matmul,
    "multiply": lower_multiply,
    "pad": lower_pad,
    "reduce_max": lower_reduce_max,
    "reduce_sum": lower_reduce_sum,
    "reshape": lower_reshape,
    "slice": lower_slice,
    "softmax": lower_softmax,
    "transpose": lower_transpose,
}
