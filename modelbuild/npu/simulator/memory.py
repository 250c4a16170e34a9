"""Byte memories that know which of their bytes have been written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.npu.program import ElementType

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]

DTYPES = {kind: np.dtype(f"<{'i' if kind & 1 else 'u'}{kind.size}") for kind in ElementType}


def failure(what: str) -> ModelbuildError:
    """A program that did what no program may; the caller adds where."""
    return ModelbuildError(what, exit_code=EXIT_FAILED)


class Memory:
    """`size` bytes, none written yet. To reach beyond them or read unwritten ones is a ModelbuildError."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._data: Bytes = np.zeros(size, np.uint8)
        self._written = np.zeros(size, np.bool_)

    @classmethod
    def of(cls, name: str, data: bytes) -> Memory:
        """A memory that holds `data`."""
        memory = cls(name, 0)
        memory._data = np.frombuffer(data, np.uint8)
        memory._written = np.ones(len(data), np.bool_)
        return memory

    def check_range(self, address: int, size: int) -> None:
        """That `size` bytes from `address` exist."""
        end = address + size
        if address < 0 or end > len(self._data):
            raise failure(
                f"access of bytes {address}..{end} of {self.name}, which has {len(self._data)} bytes"
            )

    def _check_written(self, written: NDArray[np.generic], address: int) -> None:
        if not written.all():
            raise failure(f"read of bytes of {self.name} at {address} that were never written")

    def read_bytes(self, address: int, size: int) -> Bytes:
        """A view of `size` bytes."""
        self.check_range(address, size)
        self._check_written(self._written[address : address + size], address)
        return self._data[address : address + size]

    def read(self, address: int, count: int, kind: ElementType) -> NDArray[np.integer]:
        """`count` elements."""
        return self.read_bytes(address, count * kind.size).view(DTYPES[kind])

    def write(self, address: int, values: NDArray[np.integer], kind: ElementType) -> None:
        """Elements that the caller has already saturated to `kind`."""
        data = np.ascontiguousarray(values, DTYPES[kind]).reshape(-1).view(np.uint8)
        self.check_range(address, len(data))
        self._data[address : address + len(data)] = data
        self._written[address : address + len(data)] = True

    def _view(
        self, array: NDArray[np.generic], address: int, shape: Sequence[int], strides: Sequence[int]
    ) -> NDArray[np.generic]:
        return as_strided(array[address:], (*shape,), (*strides, 1))

    def copy(
        self,
        address: int,
        source: Memory,
        source_address: int,
        counts: Sequence[int],
        strides: Sequence[int],
        source_strides: Sequence[int],
        length: int,
    ) -> None:
        """A strided rectangle of `length` contiguous bytes a run, from `source` to here."""
        spans = [
            sum((count - 1) * stride for count, stride in zip(counts, side, strict=True)) + length
            for side in (strides, source_strides)
        ]
        self.check_range(address, spans[0])
        source.check_range(source_address, spans[1])
        shape = (*counts, length)
        source._check_written(
            self._view(source._written, source_address, shape, source_strides), source_address
        )
        self._view(self._data, address, shape, strides)[...] = self._view(
            source._data, source_address, shape, source_strides
        )
        self._view(self._written, address, shape, strides)[...] = True
