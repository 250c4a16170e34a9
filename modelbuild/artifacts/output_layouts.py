"""Outputs of two models of which one gives them with the channels last, as its preprocessing declares."""

from __future__ import annotations

import numpy as np

from modelbuild.artifacts.runner import Array, Runner

_PICTURE = 4  # dimensions


def alike(reference: Runner, candidate: Runner, value: Array) -> Array:
    """An output of `candidate` in the layout of those of `reference`."""
    first, second = _is_last(reference), _is_last(candidate)
    if first == second or value.ndim != _PICTURE:
        return value
    return np.moveaxis(value, 1, -1) if first else np.moveaxis(value, -1, 1)


def shape_alike(reference: Runner, candidate: Runner, shape: tuple[int, ...]) -> tuple[int, ...]:
    """As `alike`, of a shape."""
    return alike(reference, candidate, np.broadcast_to(np.uint8(0), shape)).shape


def _is_last(runner: Runner) -> bool:
    """Whether the outputs of four dimensions are [N, H, W, C]."""
    inside = (given.in_model for given in runner.in_model.values())
    return any(given is not None and given.output_layout == "NHWC" for given in inside)
