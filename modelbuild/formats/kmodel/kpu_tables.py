"""The tables of a KPU layer: batch normalization a channel, and the activation in 16 straight pieces."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.model import Span
from modelbuild.formats.kmodel.records import words

BATCH_NORM_BYTES = 8  # a channel
SEGMENTS = 16
ACTIVATION_BYTES = 8 * SEGMENTS + SEGMENTS
MAX_SHIFT = 43


@dataclass(frozen=True)
class BatchNorm:
    """Of one channel: y = (x * mul >> shift) + add. `rest` is what the bits without a name hold."""

    mul: int  # 24 bits with sign
    add: int  # 32 bits with sign
    shift: int  # 4 bits
    rest: int = 0


@dataclass(frozen=True)
class Segment:
    """One piece of the activation: y = ((x - start) * mul >> shift) + add, for x above `start`."""

    start: int  # 36 bits with sign
    mul: int  # 16 bits with sign
    shift: int  # 8 bits, at most 43
    add: int  # 8 bits, added last
    rest: int = 0


def batch_norm(data: bytes, span: Span) -> tuple[BatchNorm, ...]:
    """One entry an output channel."""
    found = words(data, span.offset, f"{span.size // BATCH_NORM_BYTES}Q", span.end)
    return tuple(
        BatchNorm(_signed(word, 24), _signed(word >> 24 & 0xFFFFFFFF, 32), word >> 56 & 15, word >> 60)
        for word in found
    )


def activation(data: bytes, span: Span) -> tuple[Segment, ...]:
    """All 16 pieces in the order they are stored."""
    *pieces, low, high = words(data, span.offset, f"{SEGMENTS + 2}Q", span.end)
    adds = struct.pack("<2Q", low, high)
    return tuple(
        Segment(
            _signed(word >> 24 & (1 << 36) - 1, 36),
            _signed(word >> 8 & 0xFFFF, 16),
            word & 0xFF,
            add,
            word >> 60,
        )
        for word, add in zip(pieces, adds, strict=True)
    )


def pack_batch_norm(entries: Sequence[BatchNorm]) -> bytes:
    """The inverse of `batch_norm`. ModelbuildError for a number that does not fit."""
    words_ = []
    for channel, item in enumerate(entries):
        where = f"batch normalization of channel {channel}"
        words_.append(
            _bits(item.mul, -24, f"mul of the {where}")
            | _bits(item.add, -32, f"add of the {where}") << 24
            | _bits(item.shift, 4, f"shift of the {where}") << 56
            | _bits(item.rest, 4, f"rest of the {where}") << 60
        )
    return struct.pack(f"<{len(words_)}Q", *words_)


def pack_activation(segments: Sequence[Segment]) -> bytes:
    """The inverse of `activation`. ModelbuildError for a number that does not fit, or if they are not 16."""
    if len(segments) != SEGMENTS:
        raise ModelbuildError(f"an activation has {SEGMENTS} pieces, not {len(segments)}")
    words_, adds = [], []
    for index, item in enumerate(segments):
        where = f"activation piece {index}"
        words_.append(
            _bits(item.shift, 8, f"shift of {where}")
            | _bits(item.mul, -16, f"mul of {where}") << 8
            | _bits(item.start, -36, f"start of {where}") << 24
            | _bits(item.rest, 4, f"rest of {where}") << 60
        )
        adds.append(_bits(item.add, 8, f"add of {where}"))
    return struct.pack(f"<{SEGMENTS}Q", *words_) + bytes(adds)


def activation_problems(segments: Sequence[Segment]) -> list[str]:
    """What the KPU does not take of a table."""
    return [
        f"activation piece {index} shifts by {item.shift}, more than {MAX_SHIFT}"
        for index, item in enumerate(segments)
        if item.shift > MAX_SHIFT
    ]


def _bits(value: int, width: int, what: str) -> int:
    """The low bits of a number that they must hold; with sign where `width` is negative."""
    signed, width = width < 0, abs(width)
    low, high = (-(1 << width - 1), 1 << width - 1) if signed else (0, 1 << width)
    if not low <= value < high:
        raise ModelbuildError(f"{what} does not hold {value}: it has {width} bits{' with sign' * signed}")
    return value & (1 << width) - 1


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
