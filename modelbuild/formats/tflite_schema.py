"""Numbers and slots of the TFLite FlatBuffer, version 3 to 3d.

Source: schema.fbs of google-ai-edge/LiteRT (tflite/converter/schema). Slots count the fields of a table from
0, deprecated ones included; a union has two.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np

IDENTIFIER = b"TFL3"
VERSION = 3


class ModelSlot(IntEnum):
    """Model."""

    VERSION = 0
    OPERATOR_CODES = 1
    SUBGRAPHS = 2
    DESCRIPTION = 3
    BUFFERS = 4


class SubGraphSlot(IntEnum):
    """SubGraph."""

    TENSORS = 0
    INPUTS = 1
    OUTPUTS = 2
    OPERATORS = 3
    NAME = 4


class TensorSlot(IntEnum):
    """Tensor."""

    SHAPE = 0
    TYPE = 1
    BUFFER = 2
    NAME = 3
    QUANTIZATION = 4
    IS_VARIABLE = 5
    SPARSITY = 6
    SHAPE_SIGNATURE = 7
    EXTERNAL_BUFFER = 10


class QuantizationSlot(IntEnum):
    """QuantizationParameters."""

    SCALE = 2
    ZERO_POINT = 3
    DETAILS = 5
    DIMENSION = 6


class OperatorSlot(IntEnum):
    """Operator."""

    CODE = 0
    INPUTS = 1
    OUTPUTS = 2
    OPTIONS = 4


class CodeSlot(IntEnum):
    """OperatorCode."""

    OLD = 0
    CUSTOM = 1
    NEW = 3


class BufferSlot(IntEnum):
    """Buffer."""

    DATA = 0
    OFFSET = 1
    SIZE = 2


TENSOR_TYPES: tuple[str, ...] = (
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8"),
    *("float64", "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16"),
    *("int2", "uint4", "float8_e4m3fn", "float8_e5m2"),
)
# What the bytes of a constant are read as; int4 is packed, two in a byte, the first in the low bits.
STORED: Mapping[str, np.dtype[np.generic]] = {
    **{name: np.dtype(name).newbyteorder("<") for name in ("float32", "float16", "float64")},
    **{name: np.dtype(name).newbyteorder("<") for name in ("int8", "int16", "int32", "int64")},
    **{name: np.dtype(name).newbyteorder("<") for name in ("uint8", "uint16", "uint32", "uint64")},
    "bool": np.dtype("u1"),
    "bfloat16": np.dtype("<u2"),
    "int4": np.dtype("u1"),
}
NUMBERS = tuple(name for name in STORED if name not in ("float16", "float64", "bfloat16", "int4"))
OTHER_FLOATS = ("float16", "float64", "bfloat16")  # these become float32
QUANTIZED = frozenset({"int4", "int8", "uint8", "int16", "int32", "int64"})  # where a scale is there

_NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC
LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH
SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN
GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM
STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM
CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN
FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE
MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG
QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND
SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO
RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE
RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
"""
OPERATORS: tuple[str, ...] = tuple(_NAMES.split())  # by number
STABLEHLO = range(len(OPERATORS), 210)
CUSTOM = OPERATORS.index("CUSTOM")
PLACEHOLDER = OPERATORS.index("PLACEHOLDER_FOR_GREATER_OP_CODES")


class Activation(IntEnum):
    """ActivationFunctionType: what an operator applies to its result."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3
    TANH = 4
    SIGN_BIT = 5


class Padding(IntEnum):
    """Padding of windows."""

    SAME = 0
    VALID = 1


def operator_name(old: int, new: int) -> str:
    """The name of the operator of the two number fields of an OperatorCode: files from before 2020 have the
    old one only, which ends at 127; in later ones the greater holds."""
    number = max(old, new) if new < PLACEHOLDER else new
    if 0 <= number < len(OPERATORS):
        return OPERATORS[number]
    return f"STABLEHLO_{number}" if number in STABLEHLO else f"operator {number}"
