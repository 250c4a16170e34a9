"""Operators that look up, place and mask constants, for `constant_operators`: they only move numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.graph.model import Node
from modelbuild.graph.tensors import dtype_of

Operator = Callable[[Node, Sequence[Any]], Any]


def _cumulative_sum(node: Node, x: Sequence[Any]) -> Any:
    if not np.issubdtype(x[0].dtype, np.integer):
        return None
    axis = int(np.asarray(x[1]).reshape(-1)[0])
    given = np.flip(x[0], axis) if node.int("reverse", 0) else x[0]
    total = np.cumsum(given, axis, dtype=given.dtype)
    total = total - given if node.int("exclusive", 0) else total
    return np.flip(total, axis) if node.int("reverse", 0) else total


def _eye_like(node: Node, x: Sequence[Any]) -> Any:
    dtype = dtype_of(node.int("dtype", 0), node.name) if "dtype" in node.attributes else x[0].dtype
    rows, columns = x[0].shape
    return np.eye(rows, columns, node.int("k", 0)).astype(dtype)


def _gather_elements(node: Node, x: Sequence[Any]) -> Any:
    axis = node.int("axis", 0) % x[0].ndim
    cut = tuple(slice(None) if index == axis else slice(size) for index, size in enumerate(x[1].shape))
    return np.take_along_axis(x[0][cut], np.where(x[1] < 0, x[1] + x[0].shape[axis], x[1]), axis)


def _gather_nd(node: Node, x: Sequence[Any]) -> Any:
    return None if node.int("batch_dims", 0) else x[0][tuple(np.moveaxis(x[1], -1, 0))]


def _one_hot(node: Node, x: Sequence[Any]) -> Any:
    depth = int(np.asarray(x[1]).reshape(-1)[0])
    places = np.where(x[0] < 0, x[0] + depth, x[0])
    found = np.where(np.expand_dims(places, -1) == np.arange(depth), x[2][1], x[2][0])
    axis = node.int("axis", -1)
    return np.moveaxis(found, -1, axis)


def _scatter_elements(node: Node, x: Sequence[Any]) -> Any:
    if node.attributes.get("reduction", "none") != "none" or x[0].shape != x[1].shape:
        return None
    result, axis = np.array(x[0]), node.int("axis", 0)
    np.put_along_axis(result, np.where(x[1] < 0, x[1] + x[0].shape[axis], x[1]), x[2], axis)
    return result


def _scatter_nd(node: Node, x: Sequence[Any]) -> Any:
    if node.attributes.get("reduction", "none") != "none":
        return None
    result = np.array(x[0])
    result[tuple(np.moveaxis(x[1], -1, 0))] = x[2]
    return result


def _triangle(node: Node, x: Sequence[Any]) -> Any:
    diagonal = int(np.asarray(x[1]).reshape(-1)[0]) if len(x) > 1 and x[1] is not None else 0
    return (np.triu if node.int("upper", 1) else np.tril)(x[0], diagonal)


OPERATORS: Mapping[str, Operator] = {
    "CumSum": _cumulative_sum,
    "EyeLike": _eye_like,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Trilu": _triangle,
}
