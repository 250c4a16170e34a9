"""What tensor functions are written with: the builder, places of tensors, constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.formats.kmodel.stackvm_building import Builder, Place
from modelbuild.kpu.emitting.constants import Constants
from modelbuild.kpu.planning.storage import Spot

Shape = tuple[int, ...]


@dataclass
class Writer:
    """The code of the main function in the making."""

    places: Mapping[str, Place]  # of tensors in main memory
    spots: Mapping[str, Spot]  # of all tensors, those that look at constants among them
    values: Mapping[str, NDArray[Any]]  # constants that are tensors
    builder: Builder = field(default_factory=Builder)
    constants: Constants = field(default_factory=Constants)

    def place(self, tensor: QuantizedTensor | str) -> Place:
        """Where a tensor begins."""
        name = tensor if isinstance(tensor, str) else tensor.name
        spot = self.spots[name]
        if spot.root in self.values:
            start = self.constant(self.values[spot.root])
            return Place(start.location, start.offset + spot.offset)
        return self.places[name]

    def constant(self, values: NDArray[Any]) -> Place:
        """Where a constant lies."""
        return Place("rdata", self.constants.place(np.ascontiguousarray(values).tobytes()))


def shape_of(tensor: QuantizedTensor) -> Shape:
    """The shape; the runtime has no tensors without axes."""
    return tensor.shape or (1,)


def ranked(shape: Shape, rank: int) -> Shape:
    """The shape with axes of 1 in front."""
    return (1,) * (rank - len(shape)) + shape


def datatype(tensor: QuantizedTensor) -> str:
    """The runtime's name of the type."""
    return str(tensor.dtype)
