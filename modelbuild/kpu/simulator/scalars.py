"""Values on the stack: whole numbers of 64 bits (addresses too) and float32. A number of one kind taken for
the other shows its bits, as the runtime's union does."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.kpu.simulator.limits import refused
from modelbuild.kpu.simulator.types import from_bfloat16, to_bfloat16

Value = int | np.float32
_BITS = 64
_MASK = (1 << _BITS) - 1


def signed(value: int, bits: int = _BITS) -> int:
    """The low bits as a number with sign."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def low_bits(value: Value, bits: int) -> int:
    """Up to 32 low bits, without sign."""
    if isinstance(value, np.float32):
        value = int(struct.unpack("<I", struct.pack("<f", value))[0])
    return value & ((1 << bits) - 1)


def whole(value: Value) -> int:
    """All 64 bits as a number with sign; of a real number only 32 are known."""
    if isinstance(value, np.float32):
        raise refused("it takes a real number for a whole one")
    return value


def real(value: Value) -> np.float32:
    """The value as float32."""
    if isinstance(value, np.float32):
        return value
    return np.float32(struct.unpack("<f", struct.pack("<I", value & 0xFFFFFFFF))[0])


def scalar(value: Value, code: int) -> np.ndarray:
    """What a tensor function takes as a number of a type; for types of four bytes or fewer."""
    if code in _WIDTHS:
        bits, with_sign = _WIDTHS[code]
        found = low_bits(value, bits)
        kind = f"<{'i' if with_sign else 'u'}{bits // 8}"
        return np.array(signed(found, bits) if with_sign else found, kind)
    if code == _BFLOAT16:
        return to_bfloat16(np.array(real(value)))
    if code == _FLOAT32:
        return np.array(real(value), np.float32)
    raise refused(f"a number on the stack cannot be of type {code}")


_WIDTHS = {0: (8, True), 1: (16, True), 2: (32, True), 4: (8, False), 5: (16, False), 6: (32, False)}
_BFLOAT16, _FLOAT32 = 11, 9


def cut(value: float, bits: int) -> int:
    """A real number cut to a whole one as the processor does: what does not fit becomes the lowest."""
    lowest = -(1 << bits - 1)
    if not lowest <= value < -lowest:  # NaN too
        return lowest
    return int(value)


def _divided(a: int, b: int, low: int) -> int:
    if b == 0 or (a == low and b == -1):
        raise refused(f"it divides {a} by {b}")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _quotient(a: int, b: int) -> int:
    return _divided(a, b, -(1 << _BITS - 1))


# Both of these divide: `rem` and `rem_u` do, in the vendor's runtime.
ARITHMETIC: Mapping[str, tuple[Callable[[int, int], int], Callable[[np.float32, np.float32], np.float32]]] = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "sub": (lambda a, b: a - b, lambda a, b: a - b),
    "mul": (lambda a, b: a * b, lambda a, b: a * b),
    "div": (_quotient, lambda a, b: a / b),
    "rem": (_quotient, lambda a, b: a / b),
}
BITWISE: Mapping[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << (b & 63),
    "shr": lambda a, b: a >> (b & 63),
    "shr_u": lambda a, b: (a & _MASK) >> (b & 63),
}
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "clt": lambda a, b: a < b,
    "cle": lambda a, b: a <= b,
    "ceq": lambda a, b: a == b,
    "cge": lambda a, b: a >= b,
    "cgt": lambda a, b: a > b,
    "cne": lambda a, b: a != b,
}
_CONVERSIONS = {
    "conv_i1": (8, True),
    "conv_i2": (16, True),
    "conv_i4": (32, True),
    "conv_i": (64, True),
    "conv_u1": (8, False),
    "conv_u2": (16, False),
    "conv_u4": (32, False),
    "conv_u": (64, False),
}


def binary(name: str, a: Value, b: Value) -> Value:
    """An instruction that takes two numbers; of which kind the first says."""
    unsigned = name.endswith("_u")
    plain = name.removesuffix("_u") if name != "shr_u" else name
    if plain in BITWISE:
        return signed(BITWISE[plain](whole(a), whole(b)))
    if isinstance(a, np.float32):
        other = real(b)
        if plain in COMPARISONS:
            return int(COMPARISONS[plain](float(a), float(other)))
        return np.float32(ARITHMETIC[plain][1](a, other))
    one, two = (a, whole(b)) if not unsigned else (a & _MASK, whole(b) & _MASK)
    if plain in COMPARISONS:
        return int(COMPARISONS[plain](one, two))
    return signed(ARITHMETIC[plain][0](one, two))


def converted(name: str, value: Value) -> Value:
    """An instruction that changes the kind of a number."""
    if name == "conv_r4":
        return np.float32(value)
    if name == "conv_br2":
        return np.float32(from_bfloat16(to_bfloat16(np.array(value, np.float32))))
    bits, with_sign = _CONVERSIONS[name]
    if isinstance(value, np.float32):
        wide = 64 if bits == 64 or (bits == 32 and not with_sign) else 32
        value = cut(float(value), wide)
    return signed(value, bits) if with_sign or bits == 64 else value & ((1 << bits) - 1)
