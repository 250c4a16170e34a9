"""Graphs of one node, and which unit of a chip runs it: for tests of operator tables."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.placement import place_nodes, table

recipe = cache(load_recipe)


@cache
def _rules(chip: str, edition: str | None) -> Any:
    found: Recipe = recipe(chip, None, edition)
    return table(found.operators)


def one(op: str, x: tuple[int, ...], y: tuple[int, ...], *constants: Any, **attributes: Any) -> Graph:
    """A graph of one node `n` from `x` to `y`; the constants are its further inputs."""
    names = [f"c{index}" for index in range(len(constants))]
    node = Node(op, "n", ["x", *names], ["y"], attributes)
    values = {name: np.asarray(value) for name, value in zip(names, constants, strict=True)}
    return Graph("g", [node], ["x"], ["y"], values, {"x": x, "y": y})


def conv(
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    x: tuple[int, ...] = (1, 8, 64, 64),
    out: int = 8,
    *,
    op: str = "Conv",
    bias: bool = True,
    **attributes: Any,
) -> Graph:
    """A convolution that pads by half its kernel; weights are zeros that take no memory."""
    group = int(attributes.get("group", 1))
    weight = np.broadcast_to(np.float32(0), (out, x[1] // group, *kernel))
    pads = [kernel[0] // 2, kernel[1] // 2] * 2
    y = (x[0], out, -(-x[2] // stride[0]), -(-x[3] // stride[1]))
    settings = {"kernel_shape": [*kernel], "strides": [*stride], "pads": pads, **attributes}
    return one(op, x, y, weight, *([np.zeros(out, np.float32)] if bias else []), **settings)


def pool(
    op: str,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    x: tuple[int, ...] = (1, 8, 64, 64),
    **more: Any,
) -> Graph:
    """A pool, without padding unless `more` has some."""
    y = (*x[:2], *(size // step for size, step in zip(x[2:], stride, strict=True)))
    settings = {"kernel_shape": [*kernel], "strides": [*stride], "pads": [0] * 2 * len(kernel), **more}
    return one(op, x, y, **settings)


def behind(graph: Graph, op: str, y: tuple[int, ...], *constants: Any, **attributes: Any) -> Graph:
    """The graph with one more node at its end, whose name is its operator and place."""
    end, name = graph.outputs[0], f"{op}{len(graph.nodes)}"
    values = {f"{name}_{index}": np.asarray(value) for index, value in enumerate(constants)}
    node = Node(op, name, [end, *values], [f"{name}_out"], attributes)
    shapes = {**graph.shapes, f"{name}_out": y}
    return Graph(
        "g", [*graph.nodes, node], graph.inputs, [f"{name}_out"], {**graph.constants, **values}, shapes
    )


def units(graph: Graph, chip: str, edition: str | None = None) -> list[str]:
    """The unit of each node."""
    return [placed.unit for placed in place_nodes(graph, _rules(chip, edition))]


def on_npu(graph: Graph, chip: str, edition: str | None = None) -> bool:
    """Whether the NPU runs the last node."""
    return units(graph, chip, edition)[-1] in ("npu", "fused")
