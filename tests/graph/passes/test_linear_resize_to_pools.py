"""Straight lines between cells by windows that average."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Graph
from tests.graph.small import after, graph, ops, untouched


def resized(sizes: list[int], coordinates: str = "half_pixel", **more: Any) -> Graph:
    attributes = {"mode": "linear", "coordinate_transformation_mode": coordinates, **more}
    return graph(
        [("Resize", "x _ _ s", "y", attributes)], {"s": np.array([1, 2, *sizes], np.int64)}, x=(1, 2, 4, 6)
    )


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([8, 12], ["Resize", "AveragePool", "AveragePool"]),
        ([12, 18], ["Resize", "AveragePool"]),
        ([2, 3], ["AveragePool"]),
    ],
)
@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel"])
def test_whole_factors_are_averages_of_repeated_cells(
    sizes: list[int], expected: list[str], coordinates: str
) -> None:
    """The guard inside of `after` holds every cell, those of the border too."""
    assert ops(after("linear_resize_to_pools", resized(sizes, coordinates))) == expected


def test_a_single_row_is_repeated() -> None:
    steps = [("Resize", "x _ s", "y", {"mode": "linear"})]
    scales = {"s": np.array([1, 1, 3, 3], np.float32)}
    assert len(after("linear_resize_to_pools", graph(steps, scales, x=(1, 1, 1, 2))).nodes) == 2


@pytest.mark.parametrize(
    "other",
    [
        resized([16, 24]),  # its windows would be larger than 3
        resized([8, 6]),
        resized([5, 7]),
        resized([8, 12], "asymmetric"),
        resized([8, 12], "align_corners"),
        resized([8, 12], exclude_outside=1),
        graph(
            [("Resize", "x _ s", "y", {"mode": "linear"})],
            {"s": np.array([1, 1, 2.1, 2.1], np.float32)},
            x=(1, 1, 4, 4),
        ),
    ],
)
def test_everything_else_stays(other: Graph) -> None:
    untouched("linear_resize_to_pools", other)


def test_integers_stay() -> None:
    steps = [("Cast", "x", "i", {"to": 6}), ("Resize", "i _ s", "r", {"mode": "linear"})]
    model = graph([*steps, ("Cast", "r", "y", {"to": 1})], {"s": np.array([1, 1, 0.5, 0.5], np.float32)})
    untouched("linear_resize_to_pools", model)
