"""From operators of docs/arithmetic.md to tiles: one function a kind."""

from collections.abc import Callable

from modelbuild.npu.emitter import Emitter
from modelbuild.npu.lowering.convolution import lower_convolution, lower_gemm
from modelbuild.npu.lowering.elementwise import lower_add, lower_multiply, lower_prelu, lower_rescale
from modelbuild.npu.lowering.functions import lower_curve, lower_table
from modelbuild.npu.lowering.joining import lower_concat, lower_pad
from modelbuild.npu.lowering.movement import lower_gather, lower_reshape, lower_slice, lower_transpose
from modelbuild.npu.lowering.operation import Operation
from modelbuild.npu.lowering.pooling import lower_average_pool, lower_max_pool, lower_resize
from modelbuild.npu.lowering.rows import lower_matmul, lower_reduce_max, lower_reduce_sum, lower_softmax

__all__ = ["LOWERINGS", "Operation"]

LOWERINGS: dict[str, Callable[[Operation, Emitter], None]] = {
    "add": lower_add,
    "average_pool": lower_average_pool,
    "concat": lower_concat,
    "conv": lower_convolution,
    "curve": lower_curve,
    "gather": lower_gather,
    "gemm": lower_gemm,
    "matmul": lower_matmul,
    "max_pool": lower_max_pool,
    "multiply": lower_multiply,
    "pad": lower_pad,
    "prelu": lower_prelu,
    "reduce_max": lower_reduce_max,
    "reduce_sum": lower_reduce_sum,
    "rescale": lower_rescale,
    "reshape": lower_reshape,
    "resize_linear": lower_resize,
    "slice": lower_slice,
    "softmax": lower_softmax,
    "table": lower_table,
    "transpose": lower_transpose,
}
