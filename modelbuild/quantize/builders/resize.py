"""Resize: nearest neighbours as one `gather` a scaled axis, linear as `resize_linear`.

Places are worked out in fractions, after the ONNX specification of Resize.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from modelbuild.arithmetic.operator_shapes import LINEAR_ONE
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.builders.movement import gather_axes

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
    node = assembly.node
    x, y = assembly.tensor(node.inputs[0]), assembly.output()
    mode = str(node.attributes.get("mode", "nearest"))
    coordinates = str(node.attributes.get("coordinate_transformation_mode", "half_pixel"))
    if coordinates not in COORDINATES or mode not in ("nearest", "linear"):
        assembly.fail(f"mode {mode} with {coordinates} has no fixed-point form")
    if node.int("antialias", 0) or (node.int("exclude_outside", 0) and mode != "nearest"):
        assembly.fail("antialias and exclude_outside have no fixed-point form")
    lines = [(size, out, scale) for size, out, scale in zip(x.shape, y.shape, _scales(assembly), strict=True)]
    if mode == "nearest":
        _nearest(assembly, lines, coordinates)
    else:
        _linear(assembly, lines, coordinates)


def _scales(assembly: Assembly) -> list[Fraction]:
    """Out / in for every axis: the node's own scales where it has them, else from the sizes."""
    node = assembly.node
    x, y = assembly.tensor(node.inputs[0]), assembly.output()
    index = 1 if node.op == "Upsample" else 2
    name = node.inputs[index] if len(node.inputs) > index else ""
    given = assembly.graph.constants.get(name)
    if given is not None and given.size == len(x.shape):
        return [Fraction(float(value)) for value in given.reshape(-1)]
    return [Fraction(out, size) for size, out in zip(x.shape, y.shape, strict=True)]


def _nearest(assembly: Assembly, lines: list[Line], coordinates: str) -> None:
    rounding = str(assembly.node.attributes.get("nearest_mode", "round_prefer_floor"))
    if rounding not in NEAREST:
        assembly.fail(f"nearest_mode {rounding!r} is not known")
    lines_of_cells = {}
    for axis, line in enumerate(lines):
        places = [NEAREST[rounding](COORDINATES[coordinates](cell, line)) for cell in range(line[1])]
        lines_of_cells[axis] = np.clip(np.array(places), 0, line[0] - 1)
    x = assembly.tensor(assembly.node.inputs[0])
    gather_axes(assembly, x, lines_of_cells, assembly.output())


def _linear(assembly: Assembly, lines: list[Line], coordinates: str) -> None:
    x, y = assembly.tensor(assembly.node.inputs[0]), assembly.output()
    if len(lines) != 4 or lines[0][0] != lines[0][1] or lines[1][0] != lines[1][1]:
        assembly.fail("linear resizing works on the last two of four axes")
    constants = {}
    for line, places, weights in zip(
        lines[2:], ("rows", "columns"), ("row_weights", "column_weights"), strict=True
    ):
        at, shares = [], []
        for cell in range(line[1]):
            place = min(max(COORDINATES[coordinates](cell, line), Fraction(0)), Fraction(line[0] - 1))
            first = math.floor(place)
            second = round((place - first) * LINEAR_ONE)
            at.append((first, min(first + 1, line[0] - 1)))
            shares.append((LINEAR_ONE - second, second))
        constants[places] = np.array(at, np.int32)
        constants[weights] = np.array(shares, np.int32)
    assembly.emit("resize_linear", (x,), y, assembly.bounds(y), constants)


BUILDERS = {"Resize": resize, "Upsample": resize}
