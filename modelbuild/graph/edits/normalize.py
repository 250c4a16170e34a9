"""`normalize: {input: x, scale: [...], bias: [...]}`: x * scale + bias behind an input, a channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits import behind
from modelbuild.graph.edits.names import chosen_input, mapping
from modelbuild.graph.model import Graph

_KEYS = ("input", "scale", "bias", "axis")


def apply(graph: Graph, settings: object) -> None:
    """The input keeps name and shape; codes stand for the real numbers that are scaled. Numbers are one for
    all channels, or one a channel (of `axis`, 1)."""
    example = "edit: [{normalize: {scale: 0.00784, bias: -1}}]"
    given = mapping(settings, "normalize", _KEYS, example)
    if given.get("scale") is None and given.get("bias") is None:
        raise ModelbuildError("`normalize` needs `scale` or `bias`", advice=f"for example `{example}`")
    name = chosen_input(graph, given, "normalize")
    if graph.dtypes[behind.real_input(graph, name)] != np.dtype(np.float32):
        raise ModelbuildError(f"the input `{name}` holds {graph.dtypes[name]}; only real numbers are scaled")
    axis = _axis(given.get("axis"), graph, name)
    for op, key in (("Add", "bias"), ("Mul", "scale")):  # the one nearest to the input comes last
        if given.get(key) is not None:
            values = _values(given[key], key, graph, name, axis)
            behind.of_input(graph, name, op, {key: values}, {})


def _axis(given: Any, graph: Graph, name: str) -> int:
    rank = len(graph.shapes[name])
    axis = min(1, rank - 1) if given is None else given
    if type(axis) is not int or not 0 <= axis < rank:
        raise ModelbuildError(
            f"the input `{name}` has no axis {axis}", why=f"its shape is {list(graph.shapes[name])}"
        )
    return axis


def _values(given: Any, key: str, graph: Graph, name: str, axis: int) -> Any:
    shape = graph.shapes[name]
    try:
        with np.errstate(over="ignore"):
            values = np.asarray(given, np.float64).astype(np.float32).reshape(-1)
    except (ValueError, TypeError) as error:
        raise ModelbuildError(f"`{key}` is not a number or a list of numbers") from error
    if values.size not in (1, shape[axis]):
        raise ModelbuildError(
            f"`{key}` has {values.size} numbers for the {shape[axis]} channels of the input `{name}`",
            why=f"its shape is {list(shape)}, channels are axis {axis}",
            advice=f"write one number, or {shape[axis]}",
        )
    if not np.isfinite(values).all():
        raise ModelbuildError(f"`{key}` holds a number that float32 cannot")
    spread = [1] * len(shape)
    spread[axis] = values.size
    return values.reshape(spread)
