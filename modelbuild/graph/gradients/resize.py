"""Gradient of Resize, which is a matrix an axis."""

from __future__ import annotations

import math

import numpy as np

from modelbuild.graph.gradients.step import NoRule, Rules, Step, attribute

_MOST_CELLS = 2**24  # of a matrix: 64 MB


def _resize(step: Step) -> None:
    """One product an axis by the matrix of that axis, which onnxruntime itself makes of ones and zeros."""
    step.only(0)
    policy = attribute(step, "keep_aspect_ratio_policy", "stretch")
    cropped = attribute(step, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
    if policy != "stretch" or cropped or "axes" in step.node.attributes:
        raise NoRule
    before, after = step.shape(step.x), step.shape(step.y)
    scales = step.known(2)
    found, gradient = list(after), step.gradient
    for axis, (size, count) in enumerate(zip(before, after, strict=True)):
        scale = float(scales[axis]) if scales is not None and scales.size else None
        if size == count and scale in (None, 1.0):
            continue
        inner = math.prod(found[axis + 1 :])
        folded = step.reshaped(gradient, (math.prod(found[:axis]), count, inner))
        product = step.emit("MatMul", _matrix(step, size, count, scale), folded)
        found[axis] = size
        gradient = step.reshaped(product, found)
    step.give(0, gradient)


def _matrix(step: Step, size: int, count: int, scale: float | None) -> str:
    """[size, count]: the share of each cell in each resized cell."""
    if size * max(size, count) > _MOST_CELLS:
        raise NoRule
    lines = step.constant(np.eye(size, dtype=np.float32)[None, None])
    scaled = step.constant(np.array([1, 1, 1, scale or 1.0], np.float32)) if scale else ""
    sized = "" if scale else step.longs([1, 1, size, count])
    inputs = [lines, "", scaled] if scale else [lines, "", "", sized]
    resized = step.emit("Resize", *inputs, **step.node.attributes)
    return step.reshaped(resized, (size, count))


RULES: Rules = {"Resize": _resize}
