"""A caffemodel's bytes -> the arrays of each layer, in both forms of layers and of shapes.

The field numbers are those of Caffe's messages NetParameter, LayerParameter, V1LayerParameter, BlobProto and
BlobShape (BVLC, caffe.proto); nothing else of the file is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.importers.caffe.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Budget,
    Field,
    damaged,
    fields,
    varint,
)

Blob = NDArray[np.float32]
_HDF5 = b"\x89HDF\r\n"
_NET_LAYERS_V1, _NET_LAYER = 2, 100
_MAX_RANK = 32


@dataclass(frozen=True)
class _Form:
    """Field numbers of one form of layer."""

    name: int
    blobs: int
    nested: int  # the V0 layer inside a V1 one


_FORMS: Mapping[int, _Form] = {_NET_LAYER: _Form(1, 7, 0), _NET_LAYERS_V1: _Form(4, 6, 1)}
_OLD_SHAPE = (1, 2, 3, 4)  # num, channels, height, width
_DATA, _SHAPE, _DOUBLE_DATA, _RAW_DATA = 5, 7, 8, 12


def read(data: bytes) -> dict[str, list[Blob]]:
    """Layer name -> its arrays in float32, those of layers without any left out.

    Raises for damaged bytes, with the offset, and for a name that two layers with weights share.
    """
    if data.startswith(_HDF5):
        raise ModelbuildError(
            "the weights are an HDF5 file, not a caffemodel",
            advice="save them with `net.save('model.caffemodel')`",
        )
    budget, found = Budget(), dict[str, list[Blob]]()
    for field in fields(memoryview(data), 0, budget):
        form = _FORMS.get(field.number)
        if form is None:
            continue
        name, blobs = _layer(field, form, budget)
        if blobs and name in found:
            raise ModelbuildError(f"the caffemodel has the weights of the layer `{name}` twice")
        if blobs:
            found[name] = blobs
    return found


def _layer(layer: Field, form: _Form, budget: Budget) -> tuple[str, list[Blob]]:
    name, blobs = "", list[Blob]()
    for field in fields(layer.message, layer.offset, budget):
        if field.number == form.name:
            name = field.text
        elif field.number == form.blobs:
            blobs.append(_blob(field, budget))
        elif field.number == form.nested:
            raise ModelbuildError(
                "the caffemodel has the form of Caffe before 2014 (V0 layers)",
                advice="bring it up to date with Caffe's `upgrade_net_proto_binary`",
            )
    return name, blobs


def _blob(blob: Field, budget: Budget) -> Blob:
    old: dict[int, int] = {}
    shape: tuple[int, ...] | None = None
    pieces: list[NDArray[np.float32]] = []
    for field in fields(blob.message, blob.offset, budget):
        if field.number in _OLD_SHAPE and field.kind == VARINT:
            old[field.number] = field.value
        elif field.number == _SHAPE:
            shape = _shape(field, budget)
        elif field.number == _DATA:
            pieces.append(_numbers(field, FIXED32, "<f4"))
        elif field.number == _DOUBLE_DATA:
            pieces.append(_numbers(field, FIXED64, "<f8"))
        elif field.number == _RAW_DATA:
            raise ModelbuildError("the caffemodel holds half precision", advice="save it in single precision")
    values = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.float32), *pieces])
    if shape is None:
        shape = tuple(old.get(number, 1) for number in _OLD_SHAPE) if old else (len(values),)
    if math.prod(shape) != len(values):
        raise damaged(f"a blob of shape {list(shape)} holds {len(values)} numbers", blob.offset)
    return values.reshape(shape)


def _numbers(field: Field, single: int, layout: str) -> NDArray[np.float32]:
    """Packed numbers, or a single one."""
    width = np.dtype(layout).itemsize
    if field.kind not in (single, BYTES) or len(field.data) % width:
        raise damaged("the numbers of a blob have the wrong size", field.offset)
    with np.errstate(over="ignore"):
        return np.frombuffer(field.data, layout).astype(np.float32)


def _shape(shape: Field, budget: Budget) -> tuple[int, ...]:
    dims: list[int] = []
    for field in fields(shape.message, shape.offset, budget):
        if field.number != 1:
            continue
        if field.kind == VARINT:
            dims.append(field.value)
        position = 0
        while field.kind == BYTES and position < len(field.data) and len(dims) <= _MAX_RANK:
            value, position = varint(field.data, position, field.offset)
            dims.append(value)
    if len(dims) > _MAX_RANK:
        raise damaged(f"a blob has more than {_MAX_RANK} axes", shape.offset)
    return tuple(dims)
