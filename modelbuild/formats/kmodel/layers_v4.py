"""The kinds of nodes of version 4 and their bodies. Source: nncase v0.2.0-beta4, the earlier tags alike."""

from __future__ import annotations

from modelbuild.formats.kmodel import convolutions, kpu_registers, kpu_tables, types
from modelbuild.formats.kmodel.layers import LayerKind, tail
from modelbuild.formats.kmodel.model import Convolution, Span
from modelbuild.formats.kmodel.records import Record, Values, numbered, record

_ENUMS = {
    "memory": types.MEMORY_V4,
    "type": types.DATATYPES_V4,
    "reduce": numbered("mean min max sum"),
    "binary": numbered("add sub mul div min max"),
    "unary": numbered("abs ceil cos exp floor log neg rsqrt sin square"),
    "resize": numbered("bilinear nearest_neighbor"),
}
RANGE = record("memory:u32/memory type:u32/type start:u32 size:u32", _ENUMS)
_RECORDS = {
    "range": RANGE,
    "quant": record("zero_point:i32 scale:f32"),
    "clamp": record("low:f32 high:f32"),
    "pad": record("before:i32 after:i32"),
    "scalar": record("type:u32/type value:u8*4", _ENUMS),
}
_IN_OUT = "input:range output:range"
_TWO = "input_a:range input_b:range output:range"
_WINDOW = (
    "padding_h:pad padding_w:pad filter_h:i32 filter_w:i32 stride_h:i32 stride_w:i32 dilation_h:i32"
    " dilation_w:i32"
)
_CLAMP = "fused_activation:clamp"
_REQUANTIZE = "input_offset:i32 filter_offset:i32 output_mul:i32 output_shift:i32 output_offset:i32"
_BINARY = f"{_TWO} binary_op:u32/binary in_a_shape:i32*4 in_b_shape:i32*4 out_shape:i32*4"
_MATMUL = f"{_TWO} a_rows:i32 a_cols:i32 b_cols:i32"
_KERNEL = "in_shape1 filter_h filter_w"
_KERNEL_NHWC = "in_shape3 filter_h filter_w"


def _record(text: str) -> Record:
    return record(text, _ENUMS, **_RECORDS)


def _convolution(data: bytes, place: int, values: Values) -> tuple[int, Convolution]:
    """After the registers come the tables; three registers tell how many bytes of padding precede each."""
    place += _KPU.size
    found = convolutions.registers(data, place)
    fields = kpu_registers.decode(found)
    batch_norm, weights = convolutions.sizes(found, eight_bit=True)
    first = Span(place + kpu_registers.SIZE + fields["bwsx_base"], batch_norm)
    second = Span(first.end + fields["active_addr"], kpu_tables.ACTIVATION_BYTES)
    third = Span(second.end + fields["para_start"], weights)
    return place, Convolution(
        found,
        convolutions.inside(first, data, "batch normalization"),
        convolutions.inside(second, data, "activation table"),
        convolutions.inside(third, data, "weights"),
    )


_KPU = _record("main_mem_output:range batches:i32 reserved:i32")
_POOL = _record(f"{_IN_OUT} reduce_op:u32/reduce in_shape:i32*4 {_WINDOW} init_value:f32 {_CLAMP}")
KINDS: dict[int, LayerKind] = {
    0x00: LayerKind("binary", _record(f"{_BINARY} {_CLAMP}")),
    0x01: LayerKind(
        "concat",
        _record("output:range inner_size:u32 outer_size:u32 inputs_count:u32"),
        (tail("inputs", "inputs_count", "", RANGE), tail("dims", "inputs_count", "", record("size:i32"))),
    ),
    0x02: LayerKind(
        "conv2d",
        _record(f"{_IN_OUT} in_shape:i32*4 groups:i32 out_channels:i32 {_WINDOW} {_CLAMP}"),
        (tail("weights", f"out_channels {_KERNEL} / groups", "f"), tail("bias", "out_channels", "f")),
    ),
    0x03: LayerKind("dequantize", _record(f"{_IN_OUT} quant_param:quant")),
    0x04: LayerKind("matmul", _record(f"{_MATMUL} {_CLAMP}"), (tail("bias", "b_cols", "f"),)),
    0x05: LayerKind("pad", _record(f"{_IN_OUT} in_shape:i32*4 paddings:i32*8 pad_value:scalar")),
    0x06: LayerKind("quantize", _record(f"{_IN_OUT} quant_param:quant")),
    0x07: LayerKind(
        "reduce", _record(f"{_IN_OUT} reduce_op:u32/reduce in_shape:i32*4 out_shape:i32*4 init_value:f32")
    ),
    0x08: LayerKind("reduce_window2d", _POOL),
    0x09: LayerKind("memory_copy", _record(_IN_OUT)),
    0x0A: LayerKind(
        "resize_image",
        _record(
            f"{_IN_OUT} in_shape:i32*4 out_h:i32 out_w:i32 mode:u32/resize align_corners:bool reserved:u8*3"
        ),
    ),
    0x0B: LayerKind("softmax", _record(f"{_IN_OUT} inner_size:i32 outer_size:i32 beta:f32")),
    0x0C: LayerKind("transpose", _record(f"{_IN_OUT} in_shape:i32*4 perm:i32*4")),
    0x0D: LayerKind(
        "strided_slice",
        _record(
            f"{_IN_OUT} in_shape:i32*4 begin:i32*4 end:i32*4 strides:i32*4 begin_mask:i32 end_mask:i32"
            " ellipsis_mask:i32 new_axis_mask:i32 shrink_axis_mask:i32"
        ),
    ),
    0x0E: LayerKind("unary", _record(f"{_IN_OUT} unary_op:u32/unary")),
    0x0F: LayerKind(
        "quantized_conv2d",
        _record(f"{_IN_OUT} in_shape:i32*4 groups:i32 out_channels:i32 {_WINDOW} {_REQUANTIZE}"),
        (tail("bias", "out_channels", "i"), tail("weights", f"out_channels {_KERNEL} / groups", "B")),
    ),
    0x10: LayerKind(
        "quantized_matmul",
        _record(
            f"{_MATMUL} input_a_offset:i32 input_b_offset:i32 output_mul:i32 output_shift:i32"
            " output_offset:i32"
        ),
        (tail("bias", "b_cols", "i"),),
    ),
    0x11: LayerKind(
        "quantized_binary",
        _record(
            f"{_BINARY} input_a_offset:i32 input_a_mul:i32 input_a_shift:i32 input_b_offset:i32"
            " input_b_mul:i32 input_b_shift:i32 output_offset:i32 output_mul:i32 output_shift:i32"
        ),
    ),
    0x12: LayerKind("table_lookup1d", _record("input:range table:range output:range")),
    0x13: LayerKind(
        "conv2d_transpose",
        _record(f"{_IN_OUT} in_shape:i32*4 out_shape:i32*4 groups:i32 {_WINDOW} {_CLAMP}"),
        (tail("weights", f"out_shape1 {_KERNEL} / groups", "f"), tail("bias", "out_shape1", "f")),
    ),
    0x14: LayerKind("nnil_unary_method", _record(_IN_OUT), (tail("nnil_code", "", ""),)),
    0x1001: LayerKind(
        "cpu_conv2d",
        _record(f"{_IN_OUT} in_shape:i32*4 out_channels:i32 {_WINDOW} {_CLAMP}"),
        (tail("weights", f"out_channels {_KERNEL_NHWC}", "f"), tail("bias", "out_channels", "f")),
    ),
    0x1002: LayerKind(
        "cpu_depthwise_conv2d",
        _record(f"{_IN_OUT} in_shape:i32*4 {_WINDOW} {_CLAMP}"),
        (tail("weights", _KERNEL_NHWC, "f"), tail("bias", "in_shape3", "f")),
    ),
    0x1003: LayerKind("cpu_reduce_window2d", _POOL),
    0x1004: LayerKind(
        "cpu_quantized_conv2d",
        _record(f"{_IN_OUT} in_shape:i32*4 out_channels:i32 {_WINDOW} {_REQUANTIZE}"),
        (tail("weights", f"out_channels {_KERNEL_NHWC}", "B"), tail("bias", "out_channels", "i")),
    ),
    0x1005: LayerKind(
        "cpu_quantized_depthwise_conv2d",
        _record(f"{_IN_OUT} in_shape:i32*4 {_WINDOW} {_REQUANTIZE}"),
        (tail("weights", _KERNEL_NHWC, "B"), tail("bias", "in_shape3", "i")),
    ),
    0x2001: LayerKind("kpu_upload", _record(f"{_IN_OUT} in_shape:i32*4")),
    0x2002: LayerKind("kpu_conv2d", _KPU, convolution=_convolution),
}
