"""kmodels written by hand, byte by byte: code of the stack machine, operations of the KPU."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from modelbuild.formats.kmodel import kpu_registers, kpu_tables
from modelbuild.formats.kmodel.kpu_registers import Layer
from modelbuild.formats.kmodel.stackvm_isa import CODES, OPCODES, TENSOR, tables
from modelbuild.formats.kmodel.types import ITEM_BYTES

INPUT, OUTPUT, RDATA, DATA, KPU = 0, 1, 2, 3, 64
F32, U8, I8, I32, I64 = 9, 4, 0, 2, 3
Shape = Sequence[int]
Port = tuple[int, Shape]  # type and shape
ISA = tables()[0]
NUMBERS = {item.name: number for number, item in enumerate(OPCODES)}
FUNCTIONS = {item.name: (number, item) for number, item in enumerate(ISA.functions) if item}


def dense(shape: Shape) -> tuple[int, ...]:
    """Strides without gaps."""
    return tuple(int(np.prod(shape[index + 1 :], dtype=np.int64)) for index in range(len(shape)))


@dataclass
class Code:
    """Instructions one after the other."""

    data: bytearray = field(default_factory=bytearray)
    registers: int = 0

    def op(self, name: str, *operands: float) -> Code:
        """A plain instruction."""
        item = OPCODES[NUMBERS[name]]
        layout = "<B" + "".join(CODES[operand.kind] for operand in item.operands)
        self.data += struct.pack(layout, NUMBERS[name], *operands)
        return self

    def push(self, value: float | tuple[int, int]) -> Code:
        """A whole or real number, or an address as location and offset."""
        if isinstance(value, tuple):
            return self.op("lea_buffer", value[0], 0, value[1])
        return self.op("ldc_r4", value) if isinstance(value, float) else self.op("ldc_i4", value)

    def shape(self, sizes: Shape) -> int:
        """The number of a new register with these sizes."""
        for size in sizes:
            self.op("ldc_i4", size)
        self.registers += 1
        self.op("stshape", self.registers, len(sizes))
        return self.registers

    def paddings(self, items: Sequence[tuple[int, int, int]]) -> int:
        """The number of a new register with these paddings."""
        for item in items:
            for number in item:
                self.op("ldc_i4", number)
        self.registers += 1
        self.op("stpaddings", self.registers, len(items))
        return self.registers

    def tensor(self, name: str, stack: Sequence[object] = (), **operands: object) -> Code:
        """A tensor function. Sequences of numbers are put into shape registers, those of triples into padding
        registers; `stack` is pushed before."""
        number, item = FUNCTIONS[name]
        values = []
        for operand in item.operands:
            value = operands[operand.name]
            if operand.kind == "padding":
                value = self.paddings(value)  # type: ignore[arg-type]
            elif operand.kind == "shape":
                value = self.shape(value)  # type: ignore[arg-type]
            values.append(value)
        for value in stack:
            self.push(value)  # type: ignore[arg-type]
        layout = "<BH" + "".join(CODES[operand.kind] for operand in item.operands)
        self.data += struct.pack(layout, TENSOR, number, *values)
        return self

    def call(
        self,
        module: int,
        sources: Sequence[tuple[tuple[int, int], Port]],
        targets: Sequence[tuple[tuple[int, int], Port]],
    ) -> Code:
        """A call of function 0 of a module, with addresses, types and shapes."""
        registers = [(self.shape(port[1]), self.shape(dense(port[1]))) for _, port in (*sources, *targets)]
        for (address, port), (sizes, strides) in zip((*sources, *targets), registers, strict=True):
            self.push(address).push(port[0]).push(sizes).push(strides)
        return self.tensor(
            "call", function_id=0, module_id=module, num_src=len(sources), num_dst=len(targets)
        )


def starts(ports: Sequence[Port]) -> list[int]:
    """Where each begins among its kind."""
    found, place = [], 0
    for code, shape in ports:
        found.append(place)
        place += int(np.prod(shape, dtype=np.int64)) * ITEM_BYTES[code]
    return found


def _size(port: Port) -> int:
    return int(np.prod(port[1], dtype=np.int64)) * ITEM_BYTES[port[0]]


@dataclass
class Module:
    """A module of one function."""

    kind: str
    text: bytes
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    rdata: bytes = b""
    data: int = 0

    def packed(self, place: int) -> bytes:
        """The bytes of the module at `place` of the file."""
        alignment = 256 if self.kind == "k210" else 8
        pools = [(RDATA, len(self.rdata)), (DATA, self.data)]
        if self.kind == "k210":
            pools.append((KPU, 2 << 20))
        body = b"".join(struct.pack("<B3xI", *pool) for pool in pools) + self._function()
        for name, held in ((b".rdata", self.rdata), (b".text", self.text)):
            begin = place + 48 + len(body) + 32
            gap = -begin % alignment
            body += struct.pack("<16sIIII", name, 0, gap, len(held), 0) + bytes(gap) + held
        body += bytes(-(48 + len(body)) % 8)
        return struct.pack("<16s8I", self.kind.encode(), 1, 48, 48 + len(body), len(pools), 0, 2, 1, 0) + body

    def _function(self) -> bytes:
        body = b""
        for location, ports in ((INPUT, self.inputs), (OUTPUT, self.outputs)):
            for port, start in zip(ports, starts(ports), strict=True):
                body += struct.pack("<BBHII", location, port[0], 0, start, _size(port))
            for _, shape in ports:
                body += struct.pack(f"<I{len(shape)}I", len(shape), *shape)
        body += bytes(-len(body) % 8)
        pools = [sum(_size(port) for port in ports) for ports in (self.inputs, self.outputs)]
        counts = [len(self.inputs), len(self.outputs)]
        return struct.pack("<8I", 32, 32 + len(body), *pools, *counts, 0, len(self.text)) + body


def kmodel(*modules: Module) -> bytes:
    """A file that starts with function 0 of the first module."""
    alignment = 256 if any(module.kind == "k210" for module in modules) else 8
    found = struct.pack("<4s7I", b"LDMK", 5, 32, 0, alignment, len(modules), 0, 0)
    for module in modules:
        found += module.packed(len(found))
    return found


def one(
    code: Code, inputs: Sequence[Port], outputs: Sequence[Port], rdata: bytes = b"", data: int = 0
) -> bytes:
    """A file of one module of the stack machine."""
    return kmodel(Module("stackvm", bytes(code.data), inputs, outputs, rdata, data))


def at(location: int, start: int, size: int, code: int = U8) -> bytes:
    """A memory range."""
    return struct.pack("<BBHII", location, code, 0, start, size)


def upload(source: bytes, place: int, shape: Shape) -> bytes:
    """An upload to byte `place` of the RAM."""
    return struct.pack("<B3x", 0) + source + at(KPU, place, 1) + struct.pack("<4I", *shape)


def download(place: int, target: bytes, shape: Shape) -> bytes:
    """A download from byte `place` of the RAM."""
    return struct.pack("<B3x", 1) + at(KPU, place, 1) + target + struct.pack("<4I", *shape)


def conv2d(
    weights: int, norms: int, table: int, layer: Layer, main: bytes = bytes(12), batches: int = 1
) -> bytes:
    """A layer, whose tables lie at these places of the constants."""
    one = kpu_registers.KERNELS.get(layer.kernel, 1) ** 2 * (1 if layer.depthwise else layer.ic)
    ranges = (
        at(RDATA, weights, one * layer.oc)
        + at(RDATA, norms, 8 * layer.oc)
        + at(RDATA, table, kpu_tables.ACTIVATION_BYTES)
    )
    registers = struct.pack("<12Q", *kpu_registers.pack(layer))
    return struct.pack("<B3x", 2) + ranges + main + struct.pack("<I", batches) + registers


def copied(source: bytes, target: bytes, shape: Shape, source_strides: Shape, target_strides: Shape) -> bytes:
    """A copy of the KPU's module."""
    return (
        struct.pack("<B3x", 3)
        + source
        + target
        + struct.pack("<12I", *shape, *source_strides, *target_strides)
    )
