"""The operations of a K210 module of version 5: records one after the other, four kinds of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel import convolutions, kpu_registers, kpu_tables
from modelbuild.formats.kmodel.model import Convolution, Section, Span
from modelbuild.formats.kmodel.records import Enum, Record, Values, record
from modelbuild.formats.kmodel.types import DATATYPES

MAX_OPERATIONS = 10_000  # of a file
RDATA = 2  # the location of constants
TABLE_ALIGNMENT = 256  # of the activation table; the vendor's runtime refuses others on the chip


@dataclass(frozen=True)
class Operation:
    """One operation at `offset` of the file; `values` as stored, `shown` with names."""

    offset: int
    size: int
    name: str
    values: Values
    shown: Values
    convolution: Convolution | None = None
    problems: tuple[str, ...] = field(default=())


@dataclass
class Budget:
    """What the operations of a file may be in all: functions may share their code."""

    tables: convolutions.Budget
    operations: int = MAX_OPERATIONS


def kinds(locations: Enum) -> dict[int, tuple[str, Record]]:
    """Name and record of each kind. Memory has other numbers in the development layout."""
    enums = {"location": locations, "type": DATATYPES}
    memory = record("location:u8/location datatype:u8/type shared_module:u16 start:u32 size:u32", enums)
    texts = {
        0: ("kpu_upload", "input:range output:range in_shape:u32*4"),
        1: ("kpu_download", "input:range output:range in_shape:u32*4"),
        2: (
            "kpu_conv2d",
            "weights:range batch_norm:range activation:range main_mem_output:range batches:u32 layer:u64*12",
        ),
        3: ("copy", "input:range output:range in_shape:u32*4 in_strides:u32*4 out_strides:u32*4"),
    }
    return {
        code: (name, record(f"opcode:u8 reserved:u8*3 {fields}", enums, range=memory))
        for code, (name, fields) in texts.items()
    }


def read(
    data: bytes, span: Span, rdata: Section | None, locations: Enum, budget: Budget
) -> tuple[list[Operation], tuple[int, str] | None]:
    """The operations in `span`, and the offset and reason if it cannot be read to its end."""
    found: list[Operation] = []
    known = kinds(locations)
    place = span.offset
    while place < span.end:
        budget.operations -= 1
        if budget.operations < 0:
            return found, (place, f"more than {MAX_OPERATIONS} operations")
        code = data[place]
        if code not in known:
            return found, (place, f"there is no operation {code}")
        name, layout = known[code]
        try:
            values = layout.read(data, place, span.end)
            convolution = _convolution(data, values, rdata) if "layer" in values else None
            if convolution:
                budget.tables.spend(convolution)
        except ModelbuildError as error:
            return found, (place, error.problems[0].what)
        shown = {key: value for key, value in layout.shown(values).items() if key not in _HIDDEN}
        problems = tuple(_problems(data, convolution)) if convolution else ()
        found.append(Operation(place, layout.size, name, values, shown, convolution, problems))
        place += layout.size
    return found, None


_HIDDEN = ("opcode", "reserved", "layer")  # layer: shown as registers


def _convolution(data: bytes, values: Values, rdata: Section | None) -> Convolution:
    registers = values["layer"]
    assert isinstance(registers, list)
    spans = []
    for name in ("batch_norm", "activation", "weights"):
        place = values[name]
        assert isinstance(place, dict)
        start = place["start"] + (rdata.body.offset if rdata and place["location"] == RDATA else 0)
        size = min(place["size"], kpu_tables.ACTIVATION_BYTES) if name == "activation" else place["size"]
        spans.append(convolutions.inside(Span(start, size), data, name.replace("_", " ")))
    batch_norm, activation, weights = spans
    return Convolution(tuple(registers), batch_norm, activation, weights)


def _problems(data: bytes, layer: Convolution) -> list[str]:
    """What the KPU does not take of the layer, or what its tables and registers say against each other."""
    found = kpu_registers.problems(layer.registers)
    batch_norm, weights = convolutions.sizes(layer.registers, eight_bit=True)
    for what, span, size in (
        ("batch normalization", layer.batch_norm, batch_norm),
        ("activation", layer.activation, kpu_tables.ACTIVATION_BYTES),
        ("weights", layer.weights, weights),
    ):
        if span.size != size:
            found.append(f"its {what} has {span.size} bytes, and its registers want {size}")
    if layer.activation.size == kpu_tables.ACTIVATION_BYTES:
        found += kpu_tables.activation_problems(kpu_tables.activation(data, layer.activation))
    if layer.activation.offset % TABLE_ALIGNMENT:
        found.append(f"its activation table is not aligned to {TABLE_ALIGNMENT} bytes")
    return found
