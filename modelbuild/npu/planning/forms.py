"""A tensor as the chip sees it: planes of rows of columns (docs/tiling.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import QuantizedTensor


@dataclass(frozen=True)
class Form:
    """A dense tensor [planes, rows, columns] of elements of `item` bytes."""

    planes: int
    rows: int
    columns: int
    item: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.columns * self.item

    @property
    def plane_bytes(self) -> int:
        """Bytes of one plane."""
        return self.rows * self.row_bytes

    @property
    def size(self) -> int:
        """Bytes of all planes."""
        return self.planes * self.plane_bytes


def form(tensor: QuantizedTensor) -> Form:
    """The tensor's own form."""
    return form_of(tensor.shape, tensor.dtype.itemsize)


def form_of(shape: Sequence[int], item: int) -> Form:
    """[.., rows, columns] from three axes on, else planes of one cell."""
    if len(shape) < 3:
        return Form(math.prod(shape), 1, 1, item)
    return Form(math.prod(shape[:-2]), shape[-2], shape[-1], item)


def operand_form(tensor: QuantizedTensor, rank: int) -> Form:
    """The form of an operand that broadcasts to a tensor of `rank` axes."""
    shape = (1,) * (rank - len(tensor.shape)) + tensor.shape
    return form_of(shape, tensor.dtype.itemsize)


def images(shape: Sequence[int]) -> int:
    """How many images a tensor of convolutions and pools holds."""
    return shape[0] if len(shape) in (2, 4) else 1
