"""The kinds of layers of version 3 and their bodies. Source: kpu.h and kpu.c of Kendryte's standalone SDK."""

from __future__ import annotations

from modelbuild.formats.kmodel import convolutions, kpu_tables
from modelbuild.formats.kmodel.layers import LayerKind, tail
from modelbuild.formats.kmodel.model import Convolution, Span
from modelbuild.formats.kmodel.records import Record, Values, numbered, record

_QUANT = record("scale:f32 bias:f32")
_SHAPE = record("width:u32 height:u32 channels:u32")
_RANGE = record("start:u32 size:u32")
_ENUMS = {"activation": numbered("linear relu relu6")}
_IN_OUT = "flags:u32 main_mem_in_address:u32 main_mem_out_address:u32"
_POOL = (
    f"{_IN_OUT} in_shape:shape out_shape:shape kernel_width:u32 kernel_height:u32 stride_width:u32"
    " stride_height:u32 padding_width:u32 padding_height:u32"
)
_TWO = "flags:u32 main_mem_in_a_address:u32 main_mem_in_b_address:u32 main_mem_out_address:u32 count:u32"
_RESIZE = f"{_IN_OUT} in_shape:shape out_width:u32 out_height:u32 align_corners:u32"


def _record(text: str) -> Record:
    return record(text, _ENUMS, quant=_QUANT, shape=_SHAPE)


def _convolution(data: bytes, place: int, values: Values) -> tuple[int, Convolution]:
    """The pieces lie where the body says; offsets are those of the file. All files seen have 8 bits."""
    offsets = [
        int(str(values[name])) for name in ("layer_offset", "bn_offset", "act_offset", "weights_offset")
    ]
    found = convolutions.registers(data, offsets[0])
    # Whether the layers work on 8 or 16 bits is a flag of the whole file.
    eight_bit = bool(data[4] & 1)
    batch_norm, weights = convolutions.sizes(found, eight_bit=eight_bit)
    return offsets[0], Convolution(
        found,
        convolutions.inside(Span(offsets[1], batch_norm), data, "batch normalization"),
        convolutions.inside(Span(offsets[2], kpu_tables.ACTIVATION_BYTES), data, "activation table"),
        convolutions.inside(Span(offsets[3], weights), data, "weights"),
        eight_bit,
    )


_ADD_QUANTIZED = " ".join(
    f"{what}_{field}:i32" for what in ("in_a", "in_b", "out") for field in ("offset", "mul", "shift")
)
_CONCAT = LayerKind(
    "concat",
    _record("flags:u32 main_mem_out_address:u32 input_count:u32"),
    (tail("inputs", "input_count", "", _RANGE),),
)
KINDS: dict[int, LayerKind] = {
    1: LayerKind("add", _record(_TWO)),
    2: LayerKind("quantized_add", _record(f"{_TWO} {_ADD_QUANTIZED}")),
    3: LayerKind("global_max_pool2d"),
    4: LayerKind("quantized_global_max_pool2d"),
    5: LayerKind("global_average_pool2d", _record(f"{_IN_OUT} kernel_size:u32 channels:u32")),
    6: LayerKind("quantized_global_average_pool2d"),
    7: LayerKind("max_pool2d"),
    8: LayerKind("quantized_max_pool2d", _record(_POOL)),
    9: LayerKind("average_pool2d", _record(f"{_POOL} act:u32/activation")),
    10: LayerKind("quantized_average_pool2d"),
    11: LayerKind(
        "quantize",
        _record("flags:u32 main_mem_in_address:u32 mem_out_address:u32 count:u32 quant_param:quant"),
    ),
    12: LayerKind("dequantize", _record(f"{_IN_OUT} count:u32 quant_param:quant")),
    13: LayerKind("requantize", _record(f"{_IN_OUT} count:u32"), (tail("table", "", "256s"),)),
    14: LayerKind("l2_normalization", _record(f"{_IN_OUT} channels:u32")),
    15: LayerKind("softmax", _record(f"{_IN_OUT} channels:u32")),
    16: _CONCAT,
    17: LayerKind("quantized_concat", _CONCAT.record, _CONCAT.tails),
    18: LayerKind(
        "fully_connected",
        _record(f"{_IN_OUT} in_channels:u32 out_channels:u32 act:u32/activation"),
        (tail("weights", "in_channels out_channels", "f"), tail("biases", "out_channels", "f")),
    ),
    19: LayerKind("quantized_fully_connected"),
    20: LayerKind("tensorflow_flatten", _record(f"{_IN_OUT} shape:shape")),
    21: LayerKind("quantized_tensorflow_flatten"),
    22: LayerKind("resize_nearest_neighbor", _record(_RESIZE)),
    23: LayerKind("quantized_resize_nearest_neighbor", _record(_RESIZE)),
    24: LayerKind(
        "channelwise_dequantize",
        _record(f"{_IN_OUT} channels:u32 channel_size:u32"),
        (tail("quant_params", "channels", "", _QUANT),),
    ),
    25: LayerKind("logistic", _record(f"{_IN_OUT} channels:u32")),
    10240: LayerKind(
        "k210_conv",
        _record(
            "flags:u32 main_mem_out_address:u32 layer_offset:u32 weights_offset:u32 bn_offset:u32"
            " act_offset:u32"
        ),
        convolution=_convolution,
    ),
    10241: LayerKind(
        "k210_add_padding",
        _record("flags:u32 main_mem_in_address:u32 kpu_mem_out_address:u32 channels:u32"),
    ),
    10242: LayerKind("k210_remove_padding", _record(f"{_IN_OUT} channels:u32")),
    10243: LayerKind(
        "k210_upload",
        _record(
            "flags:u32 main_mem_in_address:u32 kpu_mem_out_address:u32 width:u32 height:u32 channels:u32"
        ),
    ),
}
MAIN_MEMORY_OUT = 1  # the flag of a layer that writes to main memory too
