"""Resize: nearest neighbours as one `gather` a scaled axis, linear as `resize_linear`.

Places are worked out in fractions, after the ONNX specification of Resize.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.operator_shapes import LINEAR_ONE
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.builders.movement import gather_axes
from modelbuild.quantize.emission import Emission

HALF = Fraction(1, 2)
Line = tuple[int, int, Fraction]  # cells in, cells out, scale = out / in as the node gives it

# coordinate_transformation_mode -> the place in the input of output cell x
COORDINATES: dict[str, Callable[[int, Line], Fraction]] = {
    "half_pixel": lambda x, line: (x + HALF) / line[2] - HALF,
    "pytorch_half_pixel": lambda x, line: (x + HALF) / line[2] - HALF if line[1] > 1 else Fraction(0),
    "asymmetric": lambda x, line: x / line[2],
    "align_corners": lambda x, line: Fraction(x * (line[0] - 1), line[1] - 1) if line[1] > 1 else Fraction(0),
}
NEAREST: dict[str, Callable[[Fraction], int]] = {
    "round_prefer_floor": lambda place: math.ceil(place - HALF),
    "round_prefer_ceil": lambda place: math.floor(place + HALF),
    "floor": math.floor,
    "ceil": math.ceil,
}


def resize(assembly: Assembly) -> None:
    """At the input's own scale."""
    if check_resize(assembly) == "linear":
        _linear(assembly)
    else:
        gather_axes(
            assembly, assembly.tensor(assembly.node.inputs[0]), nearest_cells(assembly), assembly.output()
        )


def check_resize(assembly: Emission) -> str:
    """The mode, nearest or linear; refuses what is neither."""
    node = assembly.node
    mode, coordinates = str(node.attributes.get("mode", "nearest")), _coordinates(assembly)
    if coordinates not in COORDINATES or mode not in ("nearest", "linear"):
        assembly.fail(f"mode {mode} with {coordinates} has no fixed-point form")
    if node.int("antialias", 0) or (node.int("exclude_outside", 0) and mode != "nearest"):
        assembly.fail("antialias and exclude_outside have no fixed-point form")
    return mode


def _coordinates(assembly: Emission) -> str:
    return str(assembly.node.attributes.get("coordinate_transformation_mode", "half_pixel"))


def axis_lines(assembly: Emission) -> list[Line]:
    """Of each axis: cells in, cells out, and the scale."""
    x, y = assembly.tensor(assembly.node.inputs[0]), assembly.output()
    return [(size, out, scale) for size, out, scale in zip(x.shape, y.shape, _scales(assembly), strict=True)]


def _scales(assembly: Emission) -> list[Fraction]:
    """Out / in for every axis: the node's own scales where it has them, else from the sizes."""
    node = assembly.node
    x, y = assembly.tensor(node.inputs[0]), assembly.output()
    index = 1 if node.op == "Upsample" else 2
    name = node.inputs[index] if len(node.inputs) > index else ""
    given = assembly.graph.constants.get(name)
    if given is not None and given.size == len(x.shape):
        return [Fraction(float(value)) for value in given.reshape(-1)]
    return [Fraction(out, size) for size, out in zip(x.shape, y.shape, strict=True)]


def nearest_cells(assembly: Emission) -> dict[int, NDArray[np.int64]]:
    """Axis -> the cell of the input that each place takes."""
    rounding = str(assembly.node.attributes.get("nearest_mode", "round_prefer_floor"))
    if rounding not in NEAREST:
        assembly.fail(f"nearest_mode {rounding!r} is not known")
    coordinates, cells = _coordinates(assembly), {}
    for axis, line in enumerate(axis_lines(assembly)):
        places = [NEAREST[rounding](COORDINATES[coordinates](cell, line)) for cell in range(line[1])]
        cells[axis] = np.clip(np.array(places), 0, line[0] - 1)
    return cells


def linear_cells(assembly: Emission, axis: int) -> list[tuple[int, int, Fraction]]:
    """Of each place along an axis: the cell before, the one behind, and the share of the one behind."""
    line, coordinates, found = axis_lines(assembly)[axis], _coordinates(assembly), []
    for cell in range(line[1]):
        place = min(max(COORDINATES[coordinates](cell, line), Fraction(0)), Fraction(line[0] - 1))
        first = math.floor(place)
        found.append((first, min(first + 1, line[0] - 1), place - first))
    return found


def _linear(assembly: Assembly) -> None:
    x, y, lines = assembly.tensor(assembly.node.inputs[0]), assembly.output(), axis_lines(assembly)
    if len(lines) != 4 or lines[0][0] != lines[0][1] or lines[1][0] != lines[1][1]:
        assembly.fail("linear resizing works on the last two of four axes")
    constants = {}
    for axis, places, weights in ((2, "rows", "row_weights"), (3, "columns", "column_weights")):
        cells = linear_cells(assembly, axis)
        shares = [round(share * LINEAR_ONE) for _, _, share in cells]
        constants[places] = np.array([(first, second) for first, second, _ in cells], np.int32)
        constants[weights] = np.array([(LINEAR_ONE - share, share) for share in shares], np.int32)
    assembly.emit("resize_linear", (x,), y, assembly.bounds(y), constants)


BUILDERS = {"Resize": resize, "Upsample": resize}
