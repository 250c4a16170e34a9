"""The instructions of the stack machine of nncase 1.x, and the numbers of its tensor functions by release.

Source: the published headers of each tag of nncase (opcode.h, op_reader.h, datatypes.h) and its runtime.
All as data, for a disassembler and for an emitter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from modelbuild.formats.kmodel.records import Enum, numbered
from modelbuild.formats.kmodel.stackvm_functions import FUNCTIONS
from modelbuild.formats.kmodel.types import DATATYPES

# Bytes that an operand takes, as a `struct` code. Registers hold shapes, strides and paddings.
CODES = {
    "u8": "B",
    "bool": "B",
    "u16": "H",
    "u32": "I",
    "i32": "i",
    "i64": "q",
    "f32": "f",
    "shape": "B",
    "padding": "B",
    "location": "B",
    "type": "B",
    "reduce": "B",
    "reduce_arg": "B",
    "binary": "B",
    "unary": "B",
    "compare": "B",
    "resize": "B",
    "onehot": "B",
    "pad": "B",
    "roi_align": "B",
    "direction": "B",
}
_UNARY_START = numbered(
    "abs ceil cos exp floor log neg round rsqrt sin sqrt square tanh bitwise_not logical_not"
)
_UNARY_1_0 = numbered(
    "abs acos asin ceil cos exp floor log neg round rsqrt sin sqrt square tanh bitwise_not logical_not"
)
_UNARY_1_1 = numbered(
    "abs acos asin ceil cos exp floor log neg round rsqrt sign sin sqrt square tanh bitwise_not logical_not"
)
_UNARY_1_7_2 = numbered(
    "abs acos asin ceil cos exp floor log neg round rsqrt sign sin sqrt square tanh bitwise_not logical_not"
    " erf"
)
ENUMS: Mapping[str, Enum] = {
    "type": DATATYPES,
    "reduce": numbered("mean min max sum"),
    "reduce_arg": numbered("min max"),
    "binary": numbered(
        "add sub mul div min max pow floor_div floor_mod bitwise_and bitwise_or bitwise_xor logical_and"
        " logical_or logical_xor"
    ),
    "compare": numbered("equal not_equal greater greater_equal less less_equal"),
    "resize": numbered("bilinear nearest_neighbor"),
    "onehot": numbered("normal process_neg"),
    "pad": numbered("constant reflect symmetric edge"),
    "roi_align": numbered("avg max"),
    "direction": numbered("forward reverse bidirectional"),
    "bool": {0: "false", 1: "true"},
}


@dataclass(frozen=True)
class Operand:
    """An operand inside the instruction; `kind` is a key of CODES."""

    name: str
    kind: str


@dataclass(frozen=True)
class Instruction:
    """Its name, operands in order, and what it takes from the stack, first pushed first. Of the stack:
    a name is an address, "#name" a number, "%name" a padding, "*" something of either kind."""

    name: str
    operands: tuple[Operand, ...] = ()
    takes: tuple[str, ...] = ()
    gives: int = 0


@dataclass(frozen=True)
class Isa:
    """What the numbers mean in some releases. `padding_words` is how many numbers make a padding: before,
    after, and since 1.0.0-tcu_num interior."""

    versions: tuple[str, ...]
    functions: tuple[
        Instruction | None, ...
    ]  # by number; None where it has a name, but no operands published
    names: tuple[str, ...]
    unary: Enum
    padding_words: int
    layout: str = "release"

    def enum(self, kind: str) -> Enum | None:
        """The names of the values of an operand, if it has some."""
        return self.unary if kind == "unary" else ENUMS.get(kind)


TENSOR = 0x5E
_OPCODES = """
nop|ldnull > 1|ldc_i4 imm:i32 > 1|ldc_i4_0 > 1|ldc_i4_1 > 1|ldc_r4 imm:f32 > 1
ldind_i1 < a > 1|ldind_i2 < a > 1|ldind_i4 < a > 1|ldind_i < a > 1|ldind_u1 < a > 1|ldind_u2 < a > 1
ldind_u4 < a > 1|ldind_u < a > 1|ldind_br2 < a > 1|ldind_r4 < a > 1
stind_i1 < a *|stind_i2 < a *|stind_i4 < a *|stind_i < a *|stind_br2 < a *|stind_r4 < a *
lea_gp gpid:u8 offset:i32 > 1|lea_buffer location:location subres_id:u8 offset:u32 > 1
ldelem_i1 < a * > 1|ldelem_i2 < a * > 1|ldelem_i4 < a * > 1|ldelem_i < a * > 1|ldelem_u1 < a * > 1
ldelem_u2 < a * > 1|ldelem_u4 < a * > 1|ldelem_u < a * > 1|ldelem_br2 < a * > 1|ldelem_r4 < a * > 1
stelem_i1 < a * *|stelem_i2 < a * *|stelem_i4 < a * *|stelem_i < a * *|stelem_br2 < a * *|stelem_r4 < a * *
ldarg index:u32 > 1|ldarg_0 > 1|ldarg_1 > 1|ldarg_2 > 1|ldarg_3 > 1|ldarg_4 > 1|ldarg_5 > 1
dup|pop < *|stshape rshape:u8 rank:u8|stpaddings rpaddings:u8 rank:u8
neg < * > 1|add < * * > 1|sub < * * > 1|mul < * * > 1|div < * * > 1|div_u < * * > 1|rem < * * > 1
rem_u < * * > 1|and < * * > 1|or < * * > 1|xor < * * > 1|not < * > 1|shl < * * > 1|shr < * * > 1
shr_u < * * > 1|clt < * * > 1|clt_u < * * > 1|cle < * * > 1|cle_u < * * > 1|ceq < * * > 1|cge < * * > 1
cge_u < * * > 1|cgt < * * > 1|cgt_u < * * > 1|cne < * * > 1
conv_i1 < * > 1|conv_i2 < * > 1|conv_i4 < * > 1|conv_i < * > 1|conv_u1 < * > 1|conv_u2 < * > 1
conv_u4 < * > 1|conv_u < * > 1|conv_br2 < * > 1|conv_r4 < * > 1
br target:i32|br_true target:i32 < *|br_false target:i32 < *|ret|call args:u8 target:i32|ecall args:u8
throw|break
"""


def instruction(text: str) -> Instruction:
    """From "name operand:kind … < taken … > given"."""
    head, _, gives = text.partition(">")
    head, _, takes = head.partition("<")
    name, *operands = head.split()
    pairs = (operand.partition(":") for operand in operands)
    return Instruction(
        name, tuple(Operand(word, kind) for word, _, kind in pairs), tuple(takes.split()), int(gives or 0)
    )


OPCODES = tuple(instruction(line) for row in _OPCODES.strip().split("\n") for line in row.split("|"))

_START = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy dequantize gather
    gather_nd logistic lut1d matmul onehot pad quantize reduce reduce_window2d resize_image slice
    softmax space_to_batch take transpose unary
"""
_REDUCE_ARG = _START.replace(" reduce ", " reduce reduce_arg ")
_CUMSUM = _REDUCE_ARG.replace(" copy ", " copy cumsum ")
_1_0 = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy cumsum dequantize
    gather gather_nd hardmax logistic lut1d matmul onehot pad quantize reduce reduce_arg reduce_window2d
    resize_image slice softmax space_to_batch take transpose unary
"""
_TCU = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy cumsum dequantize
    gather gather_nd hardmax logistic lut1d matmul onehot pad quantize random_normal random_uniform
    reduce reduce_arg reduce_window2d resize_image slice softmax space_to_batch take transpose unary
"""
_1_1 = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy cumsum dequantize
    gather gather_nd hardmax logistic lut1d matmul onehot pad quantize random_normal random_uniform
    reduce reduce_arg reduce_prod reduce_window2d resize_image slice softmax space_to_batch take ternary
    transpose unary
"""
_1_2 = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy cumsum dequantize
    gather gather_nd hardmax logistic lut1d matmul onehot pad quantize random_normal random_uniform
    reduce reduce_arg reduce_prod reduce_window2d resize_image roi_align sigmoid slice softmax
    space_to_batch take ternary topk transpose trilu unary
"""
_1_3 = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy cumsum dequantize
    equal gather gather_nd hardmax logistic lut1d matmul onehot pad quantize random_normal
    random_uniform reduce reduce_arg reduce_prod reduce_window2d resize_image roi_align sigmoid slice
    softmax space_to_batch take ternary topk transpose trilu unary
"""
_1_6 = """
    batch_to_space binary broadcast call compare clamp conv2d conv2d_transpose convert copy cumsum
    dequantize gather gather_nd hardmax logistic lut1d matmul onehot pad quantize random_normal
    random_uniform reduce reduce_arg reduce_prod reduce_window2d resize_image roi_align sigmoid slice
    softmax space_to_batch take ternary topk transpose trilu unary
"""
_1_7_1 = f"{_1_6} gru tflite_detection_postprocess"
_1_7_2 = f"{_1_7_1} compress"
_1_8 = f"{_1_7_1} layer_normalization compress gather_elements"
_CONCAT = """
    batch_to_space binary broadcast call clamp concat conv2d conv2d_transpose convert dequantize
    logistic lut1d matmul pad quantize reduce reduce_window2d resize_image slice softmax space_to_batch
    take transpose unary
"""
_COPY = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy dequantize logistic
    lut1d matmul pad quantize reduce reduce_window2d resize_image slice softmax space_to_batch take
    transpose unary
"""
_GATHER = """
    batch_to_space binary broadcast call clamp conv2d conv2d_transpose convert copy dequantize gather
    gather_nd logistic lut1d matmul pad quantize reduce reduce_window2d resize_image slice softmax
    space_to_batch take transpose unary
"""
# What a function was before it had the operands in FUNCTIONS; "" where none are published. Newest first.
_BEFORE_1_9 = {"gru": "gru@1.7.1"}
_BEFORE_1_7_2 = {**_BEFORE_1_9, "space_to_batch": ""}
_BEFORE_1_6 = {**_BEFORE_1_7_2, "reduce_prod": "reduce_prod@1.1", "softmax": ""}
_BEFORE_1_4 = {**_BEFORE_1_6, "binary": "binary@1.0", "matmul": "matmul@1.3"}
_BEFORE_1_3 = {**_BEFORE_1_4, "matmul": "", "sigmoid": "sigmoid@1.2"}
_BEFORE_OCTOBER_20 = {**_BEFORE_1_3, "reduce_arg": "reduce_arg@2021-10-18"}
_DEVELOPMENT = {**_BEFORE_1_3, "call": "call@development"}
_TABLES: tuple[tuple[str, str, Mapping[str, str], Enum, int, str], ...] = (
    ("1.9.0", _1_8, {}, _UNARY_1_7_2, 3, "release"),
    ("1.9.0-beta1 1.8.0", _1_8, _BEFORE_1_9, _UNARY_1_7_2, 3, "release"),
    ("1.7.2", _1_7_2, _BEFORE_1_9, _UNARY_1_7_2, 3, "release"),
    ("1.7.1", _1_7_1, _BEFORE_1_7_2, _UNARY_1_1, 3, "release"),
    ("1.7.0 1.6.0", _1_6, _BEFORE_1_7_2, _UNARY_1_1, 3, "release"),
    ("1.5.0 1.4.0", _1_3, _BEFORE_1_6, _UNARY_1_1, 3, "release"),
    ("1.3.0 1.3.0-rc1", _1_3, _BEFORE_1_4, _UNARY_1_1, 3, "release"),
    ("1.2.0", _1_2, _BEFORE_1_3, _UNARY_1_1, 3, "release"),
    ("1.1.0", _1_1, _BEFORE_1_3, _UNARY_1_1, 3, "release"),
    ("1.0.0-tcu_num", _TCU, _BEFORE_1_3, _UNARY_1_0, 3, "release"),
    ("1.0.0", _1_0, _BEFORE_1_3, _UNARY_1_0, 2, "release"),
    ("1.0.0-dev-2021-10-20-cumsum", _CUMSUM, _BEFORE_1_3, _UNARY_1_0, 2, "release"),
    ("1.0.0-dev-2021-10-20", _REDUCE_ARG, _BEFORE_1_3, _UNARY_1_0, 2, "release"),
    ("1.0.0-dev-2021-10-18", _REDUCE_ARG, _BEFORE_OCTOBER_20, _UNARY_1_0, 2, "release"),
    ("1.0.0-rc1", _START, _BEFORE_1_3, _UNARY_1_0, 2, "release"),
    ("1.0.0-beta2 1.0.0-beta1", _START, _BEFORE_1_3, _UNARY_START, 2, "release"),
    ("development-2021-07-15", _START, _DEVELOPMENT, _UNARY_START, 2, "development"),
    ("development-2021-07-09", _GATHER, _DEVELOPMENT, _UNARY_START, 2, "development"),
    ("development-2021-06-28", _COPY, _DEVELOPMENT, _UNARY_START, 2, "development"),
    ("development-2021-02-22", _CONCAT, _DEVELOPMENT, _UNARY_START, 2, "development"),
)


@lru_cache(maxsize=1)
def tables() -> tuple[Isa, ...]:
    """All of them, newest first."""
    made = {name: instruction(f"{name} {spec}") for name, spec in FUNCTIONS.items()}
    found = []
    for versions, order, before, unary, padding_words, layout in _TABLES:
        names = tuple(order.split())
        functions = tuple(made.get(before.get(name, name)) for name in names)
        found.append(Isa(tuple(versions.split()), functions, names, unary, padding_words, layout))
    return tuple(found)
