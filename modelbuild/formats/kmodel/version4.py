"""Version 4 of kmodel (nncase 0.2, K210 and CPU): inputs, outputs, constants, and nodes."""

from __future__ import annotations

from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import convolutions, layers, types
from modelbuild.formats.kmodel.filling import filled, reserved
from modelbuild.formats.kmodel.layers_v4 import KINDS, RANGE
from modelbuild.formats.kmodel.model import Kmodel, Layer, Span, Tensor
from modelbuild.formats.kmodel.records import NAME, named, record, words
from modelbuild.formats.parts import Part

HEADER = record(
    "identifier:u32 version:u32 flags:u32 target:u32 constants:u32 main_mem:u32 nodes:u32 inputs:u32"
    " outputs:u32 reserved:u32"
)
NODE = record("opcode:u32 body_size:u32")
_SHAPE_BYTES = 16
_MAX_NODES = 4096
_MAX_TENSORS = 64
_ALIGNMENT = 8  # bodies end there; the padding of the last one may be missing (observed)


def read(data: bytes) -> Kmodel:
    """Errors: ModelbuildError with the offset."""
    flags, target, constants, memory, nodes, inputs, outputs, rest = words(data, 8, "8I")
    if max(inputs, outputs) > _MAX_TENSORS or nodes > _MAX_NODES:
        raise damaged(f"it claims {inputs} inputs, {outputs} outputs and {nodes} nodes", NAME, 24)
    ranges = HEADER.size
    shapes = ranges + RANGE.size * inputs
    leaving = shapes + _SHAPE_BYTES * inputs
    blob = leaving + RANGE.size * outputs
    table = blob + constants
    place = table + NODE.size * nodes
    if place > len(data):
        raise damaged(f"its constants and nodes end at {place}, after its {len(data)} bytes", NAME, 16)
    parts = [
        Part(0, HEADER.size, "header"),
        Part(ranges, shapes - ranges, "inputs"),
        Part(shapes, leaving - shapes, "shapes of inputs"),
        Part(leaving, blob - leaving, "outputs"),
        Part(blob, constants, "constants"),
        Part(table, place - table, "list of nodes"),
    ]
    found: list[Layer] = []
    budget = convolutions.budget(data)
    for index in range(nodes):
        code, size = words(data, table + NODE.size * index, "2I")
        if place + size - len(data) >= _ALIGNMENT:
            raise damaged(
                f"the body of node {index} ends at {place + size}, after its {len(data)} bytes", NAME, place
            )
        body = Span(place, min(size, len(data) - place))
        kind = KINDS.get(code)
        layer, more = layers.read(
            data, body, code, kind, f"node {index}, {kind.name if kind else code}", budget
        )
        found.append(layer)
        parts += more
        place = body.end
    return Kmodel(
        4,
        data,
        flags=flags,
        target=named(types.TARGETS_V4, target),
        inputs=tuple(
            _tensor(data, ranges + RANGE.size * i, shapes + _SHAPE_BYTES * i) for i in range(inputs)
        ),
        outputs=tuple(_tensor(data, leaving + RANGE.size * i, None) for i in range(outputs)),
        layers=tuple(found),
        main_memory=memory,
        constants=constants,
        found=filled(data, parts),
        unknown=(*reserved("flags", 8, flags), *reserved("header, reserved", 36, rest)),
        checks=(layers.kpu_check(found, data),),
        unread=len(data) - place,
    )


def _tensor(data: bytes, place: int, shape: int | None) -> Tensor:
    memory, dtype, start, size = words(data, place, "4I")
    return Tensor(
        named(types.DATATYPES_V4, dtype),
        None if shape is None else words(data, shape, "4i"),
        named(types.MEMORY_V4, memory),
        start,
        size,
    )
