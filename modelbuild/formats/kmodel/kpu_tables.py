"""The tables of a KPU layer: batch normalization a channel, and the activation in 16 straight pieces."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

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
    """The inverse of `batch_norm`."""
    return b"".join(
        struct.pack(
            "<Q",
            entry.mul & 0xFFFFFF | (entry.add & 0xFFFFFFFF) << 24 | entry.shift << 56 | entry.rest << 60,
        )
        for entry in entries
    )


def pack_activation(segments: Sequence[Segment]) -> bytes:
    """The inverse of `activation`."""
    words_ = [
        item.shift | (item.mul & 0xFFFF) << 8 | (item.start & (1 << 36) - 1) << 24 | item.rest << 60
        for item in segments
    ]
    return struct.pack(f"<{SEGMENTS}Q", *words_) + bytes(item.add for item in segments)


def activation_problems(segments: Sequence[Segment]) -> list[str]:
    """What the KPU does not take of a table."""
    return [
        f"activation piece {index} shifts by {item.shift}, more than {MAX_SHIFT}"
        for index, item in enumerate(segments)
        if item.shift > MAX_SHIFT
    ]


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
