"""Functions of one number: tables of 256 entries, and curves of 16 bits."""

from __future__ import annotations

import math

from modelbuild.npu.emitter import Emitter
from modelbuild.npu.lowering.elementwise import cells
from modelbuild.npu.lowering.operation import Operation, packed
from modelbuild.npu.memory import align
from modelbuild.npu.program import Instruction
from modelbuild.npu.program.setups import CurveSetup, TableSetup
from modelbuild.npu.program.tiles import Curve, Table
from modelbuild.npu.tiling import Box, boxes, plan_strips

COEFFICIENT = (4, -(2**31), 2**31 - 1)  # bytes, low, high


def lower_table(operation: Operation, emitter: Emitter) -> None:
    """`table`."""
    source, target = operation.inputs[0], operation.output
    operation.check(source.type.size == 1, "a table needs an input of 8 bits")
    table = operation.constant("table", (256,))
    columns = {"table": (table, target.type.size, target.type.low, target.type.high)}
    setup = TableSetup(source.type, target.type, operation.integer("input_low"))
    _stream(operation, emitter, setup, packed(operation, columns).tobytes(), Table)


def lower_curve(operation: Operation, emitter: Emitter) -> None:
    """`curve`: a record of three numbers a segment."""
    source, target = operation.inputs[0], operation.output
    operation.check(source.type.size == 2, "a curve needs an input of 16 bits")
    rows = {role: operation.constant(role, (None,)) for role in ("value", "slope", "bend")}
    counts = {len(row) for row in rows.values()}
    operation.check(len(counts) == 1, "value, slope and bend differ in length")
    setup = CurveSetup(
        input_type=source.type,
        output_type=target.type,
        segment_bits=operation.integer("segment_bits"),
        segments=counts.pop(),
        start=operation.integer("start"),
        output_zero=operation.integer("output_zero"),
        low=operation.integer("low"),
        high=operation.integer("high"),
    )
    columns = {role: (row, *COEFFICIENT) for role, row in rows.items()}
    _stream(operation, emitter, setup, packed(operation, columns).tobytes(), Curve)


def _stream(
    operation: Operation,
    emitter: Emitter,
    setup: Instruction,
    entries: bytes,
    tile: type[Table] | type[Curve],
) -> None:
    """Strips of elements, under one set of parameters."""
    source, target = operation.inputs[0], operation.output
    elements = math.prod(target.tensor.shape)
    operation.check(math.prod(source.tensor.shape) == elements, "the shapes do not fit")

    def sizes(box: Box) -> tuple[int, int]:
        return align(box[0] * source.type.size), align(box[0] * target.type.size)

    plan = plan_strips((elements,), lambda box: sum(sizes(box)), align(len(entries)), emitter.capacity)
    emitter.setup(setup)
    parameters = emitter.buffer(len(entries))
    emitter.load_constants(emitter.add_constants(entries), len(entries), parameters)
    inputs, results = (emitter.ring(plan.buffers, size) for size in sizes(plan.box))
    for (start,), (count,) in boxes((elements,), plan.box):
        buffer, result = inputs.take(), results.take()
        size = source.type.size
        emitter.load(source, start * size, size, [(count, size, size)], buffer)
        strip = cells(tile, buffer, parameters, result, (1, 1, count))
        emitter.compute(strip, (buffer, parameters), result, count)
        size = target.type.size
        emitter.store(result, target, start * size, size, [(count, size, size)])
