"""Operators that look numbers up by indices, or make places of indices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelbuild.graph.model import Attribute
from modelbuild.graph.tensors import element_type_of
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.tflite.layer import Layer, Rule

_MOST_PLACES = 65_536  # of an axis that ONE_HOT makes
_SUM_FLAGS = ("exclusive", "reverse")


def _gather(layer: Layer) -> None:
    """Along one axis; indices of several axes put these in its place, which takes the source's order."""
    w, axis = layer.writer, layer.axis(layer.option(0), layer.rank(0))
    data, indices = layer.input(0), layer.input(1)
    if w.dtype(indices).kind != "i":
        raise layer.wrong(f"has indices of {w.dtype(indices)}")
    order = w.order(data)
    if layer.option(1):
        _gather_in_batches(layer, axis)
    elif len(w.shape(indices)) == 1:
        attributes: dict[str, Attribute] = {"axis": order.index(axis)}
        w.emit("Gather", [w.ordered(data, order), w.ordered(indices)], {layer.output: order}, attributes)
    else:
        ops.plain(w, "Gather", [data, indices], layer.output, {"axis": axis})


def _gather_in_batches(layer: Layer, axis: int) -> None:
    """The first axes of data and indices are the same: each batch has indices of its own. GatherND takes
    them along the axis behind these; what lay before `axis` comes behind the indices then."""
    w, rank, inner = layer.writer, layer.rank(0), layer.rank(1)
    batch = layer.option(1) + inner * (layer.option(1) < 0)
    same = layer.shape(0)[:batch] == layer.shape(1)[:batch]
    if not 0 <= batch <= min(axis, inner) or not same:
        raise layer.wrong(f"takes {list(layer.shape(1))} of {list(layer.shape(0))} with {batch} batch_dims")
    wide, places = w.scratch(f"{layer.output}_wide"), w.scratch(f"{layer.output}_places")
    ops.elementwise(w, "Cast", [layer.input(1)], places, {"to": element_type_of(np.dtype(np.int64))})
    ops.expand(w, places, wide, inner)
    before, behind = [*range(batch, axis)], range(axis + 1, rank)
    stored = w.ordered(layer.input(0), (*range(batch), axis, *before, *behind))
    taken = inner - batch
    order = (*range(batch), *range(axis, axis + taken), *before, *(n - 1 + taken for n in behind))
    w.emit("GatherND", [stored, w.ordered(wide)], {layer.output: order}, {"batch_dims": batch})


def _lookup(layer: Layer) -> None:
    """EMBEDDING_LOOKUP: rows of input 1 by the indices of input 0."""
    ops.plain(layer.writer, "Gather", [layer.input(1), layer.input(0)], layer.output, {"axis": 0})


def _cumulated(layer: Layer) -> None:
    w, data, axis = layer.writer, layer.input(0), layer.axis(layer.one(1), layer.rank(0))
    order, flags = w.order(data), {name: layer.option(i, layout="B") for i, name in enumerate(_SUM_FLAGS)}
    place = w.parameter(f"{layer.output}_axis", np.array(order.index(axis), np.int64))
    w.emit("CumSum", [w.ordered(data, order), place], {layer.output: order}, flags)


def _one_hot(layer: Layer) -> None:
    """Where the index is the place along the new axis the one value, else the other; ONNX's OneHot would take
    negative indices from behind."""
    w, depth, rank = layer.writer, layer.one(1), layer.rank(0)
    if not 0 < depth <= _MOST_PLACES:
        raise layer.wrong(f"makes {depth} places of an index")
    axis = layer.axis(layer.option(0, -1), rank + 1)
    wide, places, hit = (w.scratch(f"{layer.output}_{word}") for word in ("wide", "places", "hit"))
    ops.expand(w, layer.input(0), wide, axis)
    shape = [depth if at == axis else 1 for at in range(rank + 1)]
    w.constant(places, np.arange(depth, dtype=w.dtype(wide)).reshape(shape))
    ops.elementwise(w, "Equal", [wide, places], hit)
    ops.elementwise(w, "Where", [hit, layer.input(2), layer.input(3)], layer.output)


def _gather_nd(layer: Layer) -> None:
    w, indices = layer.writer, layer.input(1)
    wide = w.scratch(f"{layer.output}_indices")
    w.emit("Cast", [w.ordered(indices)], {wide: None}, {"to": 7})
    ops.plain(w, "GatherND", [layer.input(0), wide], layer.output)


RULES: Mapping[str, Rule] = {
    "CUMSUM": _cumulated,
    "EMBEDDING_LOOKUP": _lookup,
    "GATHER": _gather,
    "GATHER_ND": _gather_nd,
    "ONE_HOT": _one_hot,
}
