"""Numbers of types as arrays hold them. Of bfloat16 arrays hold the bits."""

from __future__ import annotations

import numpy as np

from modelbuild.formats.kmodel.types import DATATYPES
from modelbuild.kpu.simulator.limits import refused

BFLOAT16 = 11
_KINDS = (
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.float16,
    np.float32,
    np.float64,
    np.uint16,
)
DTYPES = tuple(np.dtype(kind) for kind in _KINDS)
CODES = {name: code for code, name in DATATYPES.items()}
F32, I32, I64, U8, BOOL = (np.dtype(kind) for kind in (np.float32, np.int32, np.int64, np.uint8, np.bool_))
_UNSIGNED = {1: U8, 2: np.dtype(np.uint16), 4: np.dtype(np.uint32), 8: np.dtype(np.uint64)}


def dtype_of(code: int) -> np.dtype:
    """The type of a number."""
    if not 0 <= code < len(DTYPES):
        raise refused(f"{code} is no type")
    return DTYPES[code]


def raw(code: int) -> np.dtype:
    """The unsigned type of the same size: for functions that only move elements."""
    return _UNSIGNED[dtype_of(code).itemsize]


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 to the bits of the nearest bfloat16, ties to even; NaN becomes the quiet one."""
    bits = values.astype(np.float32).view(np.uint32)
    with np.errstate(over="ignore"):
        rounded = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint32(0x7FC0), rounded).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """The bits of bfloat16 to float32, exact."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
