"""The layout that a model's source has at its borders, where the graph made of it has the channels first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.importers.source import KEY

Array = NDArray[Any]
Layouts = Mapping[str, str]  # input or output -> NHWC, NDHWC ...: batch, places, channels


def recorded(metadata: Mapping[str, str]) -> dict[str, str]:
    """The layouts in a model's metadata; none where its source has the channels first itself. Raises
    ModelbuildError for metadata that no import has written."""
    try:
        found = json.loads(metadata.get(KEY, "{}")).get("layouts", {})
        return {str(name): str(layout) for name, layout in found.items()}
    except (ValueError, AttributeError, RecursionError):
        raise ModelbuildError(f"the model's metadata `{KEY}` is damaged") from None


def require(layouts: Layouts) -> Layouts:
    """`layouts`, if there are any. Raises (exit 2) where the source has none of its own."""
    if not layouts:
        raise ModelbuildError(
            "--source-layout: no layout of a source is recorded with this model",
            why="its inputs and outputs are as the source has them, or as the manifest says (`in_model`)",
            advice="leave --source-layout out",
        )
    return layouts


def shape_in_source(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[N, C, places] -> [N, places, C]."""
    return (shape[0], *shape[2:], shape[1])


def to_source(name: str, array: Array, layouts: Layouts) -> Array:
    """What the model gives as `name`, as its source would give it."""
    return np.moveaxis(array, 1, -1) if name in layouts else array


def from_source(name: str, array: Array, layouts: Layouts) -> Array:
    """What the source takes as `name`, as the model takes it."""
    return np.moveaxis(array, -1, 1) if name in layouts else array
