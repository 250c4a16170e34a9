"""The layers that read what a model is given, and what was observed of the patches there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.preprocess_nodes import is_filter, is_inserted
from modelbuild.graph.quantized_border import is_port
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.patches import Window, window_of
from modelbuild.quantize.plan import Step, shares
from modelbuild.quantize.weighted import Weighted, weighted

MOST_COLUMNS = 256  # of a patch; a first layer of 7 x 7 over three channels has 147
MOST_CELLS = 1 << 20  # of all matrices of a model together
AFFINE = frozenset({"Mul", "Div", "Add", "Sub", "BatchNormalization"})  # by constants of each channel


@dataclass(frozen=True)
class Reader:
    """A tensor that holds an input's values, and where a layer reads it."""

    tensor: str
    window: Window

    @property
    def key(self) -> str:
        """By which observations have it: layers that read alike share it."""
        window = self.window
        parts = (window.kernel, window.strides, window.dilations, window.pads, window.out)
        return " ".join([",".join(map(str, part)) for part in parts] + [str(window.groups), self.tensor])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of its covariance."""
        return self.window.groups, self.window.width, self.window.width


def reader_of(graph: Graph, node: Node, found: Weighted) -> Reader | None:
    """None for what is no convolution, and for those whose outputs read one value, or very many."""
    if node.op != "Conv":
        return None
    tensor = next(name for name in node.inputs if name not in graph.constants)
    window = window_of(graph, node, found, tensor)
    fits = window is not None and 1 < window.width <= MOST_COLUMNS and window.places > 0
    return Reader(tensor, window) if window is not None and fits else None


def readers(graph: Graph) -> list[Reader]:
    """All of a model, as far as their matrices have room."""
    held, taken, cells = _held(graph), dict[str, Reader](), 0
    for node in graph.nodes:
        if node.op != "Conv" or node.inputs[0] not in held or is_filter(node):
            continue
        found = weighted(graph, node)
        reader = None if found is None else reader_of(graph, node, found)
        if reader is None or reader.key in taken or cells + math.prod(reader.shape) > MOST_CELLS:
            continue
        cells += math.prod(reader.shape)
        taken[reader.key] = reader
    return list(taken.values())


def _held(graph: Graph) -> set[str]:
    """The tensors that hold an input's values, or what its codes stand for: moved, joined, resized, or
    normalised channel by channel."""
    held = {name for name in graph.inputs if graph.dtypes[name].kind == "f" or is_port(graph, name)}
    for node in graph.nodes:
        reads = {name for name in node.inputs if name and name not in graph.constants}
        if reads and reads <= held and _keeps(graph, node):
            held |= {*node.outputs}
    return held


def _keeps(graph: Graph, node: Node) -> bool:
    if is_filter(node) or _scales_filtered(graph, node):
        return True
    if node.op in AFFINE:
        return weighted(graph, node) is not None
    if node.op == "MatMul":  # of the rows of a picture
        return len(graph.shapes[node.outputs[0]]) == 4 and node.inputs[1] in graph.constants
    return node.op in ("Concat", "DequantizeLinear") or shares(graph, Step((node,)))


def _scales_filtered(graph: Graph, node: Node) -> bool:
    """What gives cells at the border of a resized picture more weight."""
    return node.op == "Mul" and is_inserted(node.origin) and len(graph.shapes[node.inputs[1]]) == 4


def covariance_of(
    graph: Graph, observations: Observations, node: Node, found: Weighted, factors: NDArray[Any] | None
) -> NDArray[np.float64] | None:
    """[groups, K, K] of the patches that a node multiplies, which hold x / `factors` a channel; None where
    they were not observed."""
    reader = reader_of(graph, node, found)
    covariance = None if reader is None else observations.covariances.get(reader.key)
    if reader is None or covariance is None or covariance.shape != reader.shape:
        return None
    if factors is None:
        return covariance
    if factors.shape != (found.channels,):
        return None
    columns = np.repeat(factors.reshape(found.group, -1), math.prod(reader.window.kernel), axis=1)
    return np.asarray(covariance / (columns[:, :, None] * columns[:, None, :]))
