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
_SHAPE, _RAW_DATA = 7, 12
_NUMBERS = {5: (FIXED32, "<f4"), 8: (FIXED64, "<f8")}  # field -> wire type of one that is not packed, layout
_BLOB_FIELDS = frozenset((*_OLD_SHAPE, *_NUMBERS, _SHAPE, _RAW_DATA))


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
    for field in fields(memoryview(data), 0, budget, _FORMS):
        budget.take_part(field.offset)
        name, blobs = _layer(field, _FORMS[field.number], budget)
        if blobs and name in found:
            raise ModelbuildError(f"the caffemodel has the weights of the layer `{name}` twice")
        if blobs:
            found[name] = blobs
    return found


def _layer(layer: Field, form: _Form, budget: Budget) -> tuple[str, list[Blob]]:
    name, blobs = "", list[Blob]()
    for field in fields(layer.message, layer.offset, budget, (form.name, form.blobs, form.nested)):
        if field.number == form.name:
            name = field.text
        elif field.number == form.blobs:
            budget.take_part(field.offset)
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
    numbers: _Numbers | None = None
    for field in fields(blob.message, blob.offset, budget, _BLOB_FIELDS):
        if field.number == _SHAPE:
            shape = _shape(field, budget)
        elif field.number in _NUMBERS:
            numbers = _gathered(numbers, field)
        elif field.number == _RAW_DATA:
            raise ModelbuildError("the caffemodel holds half precision", advice="save it in single precision")
        elif field.kind == VARINT:
            old[field.number] = field.value
    values = np.zeros(0, np.float32) if numbers is None else numbers.floats()
    if shape is None:
        shape = tuple(old.get(number, 1) for number in _OLD_SHAPE) if old else (len(values),)
    if math.prod(shape) != len(values):
        raise damaged(f"a blob of shape {list(shape)} holds {len(values)} numbers", blob.offset)
    return values.reshape(shape)


@dataclass
class _Numbers:
    """The numbers of a blob: a part of the file, or many parts put together."""

    layout: str
    data: memoryview | bytearray

    def floats(self) -> Blob:
        """All of them, in float32."""
        with np.errstate(over="ignore"):
            return np.frombuffer(self.data, self.layout).astype(np.float32)


def _gathered(before: _Numbers | None, field: Field) -> _Numbers:
    """The numbers `before` and those of `field`, packed or a single one."""
    single, layout = _NUMBERS[field.number]
    if field.kind not in (single, BYTES) or len(field.data) % np.dtype(layout).itemsize:
        raise damaged("the numbers of a blob have the wrong size", field.offset)
    if before is None:
        return _Numbers(layout, field.data)
    if before.layout != layout:
        raise damaged("a blob holds numbers of two precisions", field.offset)
    if not isinstance(before.data, bytearray):
        before.data = bytearray(before.data)
    before.data += field.data
    return before


def _shape(shape: Field, budget: Budget) -> tuple[int, ...]:
    dims: list[int] = []
    for field in fields(shape.message, shape.offset, budget, (1,)):
        if field.kind == VARINT:
            dims.append(field.value)
        position = 0
        while field.kind == BYTES and position < len(field.data) and len(dims) <= _MAX_RANK:
            value, position = varint(field.data, position, field.offset)
            dims.append(value)
    if len(dims) > _MAX_RANK:
        raise damaged(f"a blob has more than {_MAX_RANK} axes", shape.offset)
    return tuple(dims)
