"""Gradients of operators that move numbers: each number's gradient goes back to where it came from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.gradients.step import NoRule, Rules, Step, attribute


def _reshape(step: Step) -> None:
    step.only(0)
    step.give(0, step.reshaped(step.gradient, step.shape(step.x)))


def _transpose(step: Step) -> None:
    rank = len(step.shape(step.x))
    perm = step.node.ints("perm", list(reversed(range(rank))))
    step.give(0, step.emit("Transpose", step.gradient, perm=[perm.index(axis) for axis in range(rank)]))


def _concat(step: Step) -> None:
    axis = step.node.int("axis", 0) % len(step.shape(step.y))
    start = 0
    for index, name in enumerate(step.node.inputs):
        end = start + step.shape(name)[axis]
        if index in step.wanted:
            bounds = [step.longs([value]) for value in (start, end, axis)]
            step.give(index, step.emit("Slice", step.gradient, *bounds))
        start = end


def _split(step: Step) -> None:
    step.only(0)
    axis = step.node.int("axis", 0) % len(step.shape(step.x))
    parts = [
        gradient or step.zeros(step.shape(name))
        for name, gradient in zip(step.node.outputs, step.gradients, strict=True)
    ]
    step.give(0, step.emit("Concat", *parts, axis=axis))


def _slice(step: Step) -> None:
    step.only(0)
    shape = step.shape(step.x)
    starts, ends = step.integers(1), step.integers(2)
    if starts is None or ends is None:
        raise NoRule
    axes = step.integers(3) or list(range(len(starts)))
    steps = step.integers(4) or [1] * len(axes)
    gradient, found = step.gradient, list(step.shape(step.y))
    widths = [(0, 0)] * len(shape)
    for axis, start, end, pace in zip(axes, starts, ends, steps, strict=True):
        cells = range(*slice(start, end, pace).indices(shape[axis]))
        gradient = _spread(step, gradient, found, axis % len(shape), cells)
        first, reach = min(cells), len(cells) * abs(pace)
        widths[axis % len(shape)] = (first, shape[axis] - first - reach)
    step.give(0, _padded(step, gradient, widths))


def _spread(step: Step, gradient: str, shape: list[int], axis: int, cells: range) -> str:
    """The cells of an axis in rising order, with as many zeros behind each as a Slice jumps over."""
    if cells.step < 0:
        bounds = [step.longs([value]) for value in (-1, -(2**62), axis, -1)]
        gradient = step.emit("Slice", gradient, *bounds)
    pace = abs(cells.step)
    if pace == 1:
        return gradient
    outer, inner = shape[:axis], shape[axis + 1 :]
    apart = step.reshaped(gradient, (math.prod(outer), len(cells), 1, math.prod(inner)))
    padded = _padded(step, apart, [(0, 0), (0, 0), (0, pace - 1), (0, 0)])
    shape[axis] = len(cells) * pace
    return step.reshaped(padded, (*outer, shape[axis], *inner))


def _padded(step: Step, name: str, widths: Sequence[tuple[int, int]]) -> str:
    """Zeros around; negative widths take cells away."""
    if not any(map(any, widths)):
        return name
    pads = [before for before, _ in widths] + [after for _, after in widths]
    return step.emit("Pad", name, step.longs(pads))


def _pad(step: Step) -> None:
    step.only(0)
    shape = step.shape(step.x)
    widths = step.integers(1)
    if widths is None:
        raise NoRule
    pairs = list(zip(widths[: len(shape)], widths[len(shape) :], strict=True))
    mode = attribute(step, "mode", "constant")
    if mode == "constant":
        step.give(0, _padded(step, step.gradient, [(-before, -after) for before, after in pairs]))
        return
    if mode not in ("reflect", "edge") or min(map(min, pairs)) < 0:
        raise NoRule
    gradient, found = step.gradient, list(step.shape(step.y))
    for axis, pair in enumerate(pairs):
        if any(pair):
            cells = np.pad(np.arange(shape[axis]), pair, mode=mode)
            gradient = _returned(step, gradient, found, axis, cells, shape[axis])
    step.give(0, gradient)


def _gather(step: Step) -> None:
    step.only(0)
    shape = step.shape(step.x)
    indices = step.known(1)
    if indices is None or indices.dtype.kind not in "iu":
        raise NoRule
    axis = step.node.int("axis", 0) % len(shape)
    cells = indices.astype(np.int64).reshape(-1) % shape[axis]
    found = [*shape[:axis], len(cells), *shape[axis + 1 :]]
    gradient = step.reshaped(step.gradient, found)
    step.give(0, _returned(step, gradient, found, axis, cells, shape[axis]))


def _returned(
    step: Step, gradient: str, shape: list[int], axis: int, cells: NDArray[np.int64], size: int
) -> str:
    """What was read from `cells` of an axis of `size`, added up there; `shape` follows."""
    perm = [axis, *(other for other in range(len(shape)) if other != axis)]
    shape[axis] = size
    zeros = step.zeros([shape[place] for place in perm])
    front = step.emit("Transpose", gradient, perm=perm)
    added = step.emit("ScatterND", zeros, step.constant(cells[:, None]), front, reduction="add")
    return step.emit("Transpose", added, perm=[perm.index(place) for place in range(len(shape))])


def _expand(step: Step) -> None:
    step.only(0)
    step.give_narrowed(0, step.gradient)


def _tile(step: Step) -> None:
    step.only(0)
    repeats = step.integers(1) or []
    pairs = [size for pair in zip(repeats, step.shape(step.x), strict=True) for size in pair]
    apart = step.reshaped(step.gradient, pairs)
    step.give(0, step.summed(apart, range(0, len(pairs), 2), keepdims=False))


def _depth_to_space(step: Step) -> None:
    block = step.node.int("blocksize", 1)
    if attribute(step, "mode", "DCR") == "DCR":
        step.give(0, step.emit("SpaceToDepth", step.gradient, blocksize=block))
        return
    n, _, h, w = step.shape(step.x)
    apart = step.reshaped(step.gradient, (n, -1, h, block, w, block))
    moved = step.emit("Transpose", apart, perm=[0, 1, 3, 5, 2, 4])
    step.give(0, step.reshaped(moved, step.shape(step.x)))


def _space_to_depth(step: Step) -> None:
    step.give(0, step.emit("DepthToSpace", step.gradient, blocksize=step.node.int("blocksize", 1)))


RULES: Rules = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Gather": _gather,
    "Pad": _pad,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Tile": _tile,
    "Transpose": _transpose,
    **dict.fromkeys(("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"), _reshape),
}
