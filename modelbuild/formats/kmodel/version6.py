"""Versions 6 and 7 of kmodel (nncase 2.x and 3.x; K230, CPU), to the level of functions and sections."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelbuild.errors import ModelbuildError
from modelbuild.formats.checks import unless
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import types
from modelbuild.formats.kmodel.filling import filled, reserved
from modelbuild.formats.kmodel.model import Function, Kmodel, Module, Section, Span, Unknown, alignment_check
from modelbuild.formats.kmodel.records import NAME, Record, record, text
from modelbuild.formats.kmodel.version5 import entry_check, entry_of, target_of
from modelbuild.formats.kmodel.version5_modules import MAX_FUNCTIONS, MAX_SECTIONS, MERGED
from modelbuild.formats.parts import Part

HEADER = record(
    "identifier:u32 version:u32 flags:u32 alignment:u32 modules:u32 entry_module:u32 entry_function:u32"
    " reserved:u32"
)
NO_ENTRY = 0xFFFFFFFF
MAX_MODULES = 4096
_ALIGNMENT = 8
_WITH_DIALECTS = 7  # the version in which dimensions are written in several ways


@dataclass(frozen=True)
class Layout:
    """The headers of one of the two versions."""

    module: Record
    function: Record
    section: Record


LAYOUTS = {
    6: Layout(
        record("kind:u8*16 version:u32 size:u32 sections:u32 functions:u32"),
        record("parameters:u32 entrypoint:u32 text_size:u32 size:u32 sections:u32 reserved:u32"),
        record("name:u8*16 flags:u32 size:u32 body_start:u32 body_size:u32 memory_size:u32 reserved:u32"),
    ),
    7: Layout(
        record("kind:u8*16 version:u32 sections:u32 functions:u32 reserved:u32 size:u64"),
        record("parameters:u32 sections:u32 entrypoint:u64 text_size:u64 size:u64"),
        record("name:u8*16 flags:u32 alignment:u32 size:u64 body_start:u64 body_size:u64 memory_size:u64"),
    ),
}


@dataclass
class _Reading:
    data: bytes
    layout: Layout
    dialect: types.Dialect
    types_left: int = types.MAX_TYPES
    odd: int = 0  # how odd the dimensions are
    functions_left: int = MAX_FUNCTIONS
    sections_left: int = MAX_SECTIONS
    parts: list[Part] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)

    def header(self, layout: Record, place: int, end: int) -> dict[str, int]:
        """The numbers of a header; names are left out."""
        found = layout.read(self.data, place, end)
        return {name: value for name, value in found.items() if isinstance(value, int)}


def read(data: bytes) -> Kmodel:
    """In that way of writing dimensions in which all signatures end where they should, with the fewest odd
    dimensions. Errors: ModelbuildError with the offset, that of the way that came furthest."""
    readable: list[tuple[int, Kmodel]] = []
    failures: list[_MisreadError] = []
    for dialect in types.DIALECTS if data[4] == _WITH_DIALECTS else types.DIALECTS[:1]:
        try:
            readable.append(_read(data, dialect))
        except _MisreadError as error:
            failures.append(error)
    if not readable:
        raise max(failures, key=lambda failure: failure.place).error
    return min(readable, key=lambda item: item[0])[1]


class _MisreadError(Exception):
    """A function whose signatures cannot be read this way."""

    def __init__(self, place: int, error: ModelbuildError) -> None:
        super().__init__(str(error))
        self.place, self.error = place, error


def _read(data: bytes, dialect: types.Dialect) -> tuple[int, Kmodel]:
    """The file, and how odd its dimensions are."""
    header = {name: value for name, value in HEADER.read(data, 0).items() if isinstance(value, int)}
    version, count = header["version"], header["modules"]
    if not 1 <= count <= MAX_MODULES:
        raise damaged(f"it claims {count} modules", NAME, 16)
    reading = _Reading(data, LAYOUTS[version], dialect, parts=[Part(0, HEADER.size, "header")])
    reading.unknown += reserved("flags", 8, header["flags"]) + reserved(
        "header, reserved", 28, header["reserved"]
    )
    modules = []
    place = HEADER.size
    for index in range(count):
        modules.append(_module(reading, place, index))
        place += modules[-1].size
    entry = (header["entry_module"], header["entry_function"])
    function = entry_of(tuple(modules), entry)
    none = entry[0] == NO_ENTRY  # nncase's runtime asks about the module alone
    model = Kmodel(
        version,
        data,
        dialect.name if version == _WITH_DIALECTS and _tells(modules) else "",
        header["flags"],
        target_of(tuple(modules)),
        header["alignment"],
        function.inputs if function else (),
        function.outputs if function else (),
        modules=tuple(modules),
        entry=None if none else entry,
        found=filled(data, reading.parts),
        unknown=tuple(reading.unknown),
        checks=(
            unless("the entry function is there", "") if none else entry_check(function, entry),
            alignment_check(header["alignment"], len(data)),
        ),
        unread=len(data) - place,
    )
    return reading.odd, model


def _tells(modules: list[Module]) -> bool:
    """Whether the way that dimensions are written shows: not in files in which no tensor has one."""
    return any(
        "[" in tensor.type and tensor.shape != ()
        for module in modules
        for function in module.functions
        for tensor in (*function.inputs, *function.outputs)
    )


def _module(reading: _Reading, place: int, index: int) -> Module:
    data, layout = reading.data, reading.layout.module
    header = reading.header(layout, place, len(data))
    size = header["size"]
    if size < layout.size or place + size > len(data):
        raise damaged(f"a module of {size} bytes lies outside its {len(data)} bytes", NAME, place)
    kind = text(data, place, 16)
    label = f"module {index}, {kind}"
    reading.parts.append(Part(place, layout.size, f"{label}: header"))
    if "reserved" in header:
        reading.unknown += reserved(f"{label}: reserved", place + 28, header["reserved"])
    at, end = place + layout.size, place + size
    functions: list[Function] = []
    reading.functions_left -= header["functions"]
    if reading.functions_left < 0:
        raise damaged("it claims too many functions", NAME, place)
    for number in range(header["functions"]):
        functions.append(_function(reading, at, end, f"{label}, function {number}"))
        at += functions[-1].size
    sections, _ = _sections(reading, at, end, header["sections"], label)
    return Module(kind, header["version"], place, size, (), tuple(functions), sections)


def _function(reading: _Reading, place: int, end: int, label: str) -> Function:
    layout = reading.layout.function
    header = reading.header(layout, place, end)
    size = header["size"]
    if size < layout.size or place + size > end:
        raise damaged(f"a function of {size} bytes lies outside its module", NAME, place)
    reading.parts.append(Part(place, layout.size, f"{label}: header"))
    if "reserved" in header:
        reading.unknown += reserved(f"{label}: reserved", place + 20, header["reserved"])
    last = place + size
    signatures = types.Signatures(
        reading.data, place + layout.size, last, reading.dialect, reading.types_left
    )
    try:
        found = [signatures.tensor() for _ in range(_count(header["parameters"], place, size))]
        returned = signatures.returned()
        at = signatures.place
        reading.parts.append(Part(place + layout.size, at - place - layout.size, f"{label}: types"))
        sections, at = _sections(reading, at, last, header["sections"], label)
        if last - at >= _ALIGNMENT:
            raise damaged(f"a function has {last - at} bytes after its last section", NAME, at)
    except ModelbuildError as error:
        raise _MisreadError(place, error) from None
    reading.types_left = signatures.left
    reading.odd += signatures.odd
    return Function(
        place, size, tuple(found), returned, header["entrypoint"], header["text_size"], sections=sections
    )


def _count(parameters: int, place: int, size: int) -> int:
    """Every signature has at least a byte."""
    if parameters > size:
        raise damaged(f"a function of {size} bytes claims {parameters} parameters", NAME, place)
    return parameters


def _sections(
    reading: _Reading, place: int, end: int, count: int, label: str
) -> tuple[tuple[Section, ...], int]:
    """The sections, and where the last one ends."""
    layout = reading.layout.section
    heads: list[tuple[str, int, dict[str, int]]] = []
    reading.sections_left -= count
    if reading.sections_left < 0:
        raise damaged("it claims too many sections", NAME, place)
    for _ in range(count):
        header = reading.header(layout, place, end)
        name = text(reading.data, place, 16)
        size, start, body = header["size"], header["body_start"], header["body_size"]
        if size < layout.size or place + size > end:
            raise damaged(f"section {name} ends after its module", NAME, place)
        reading.parts.append(Part(place, layout.size, f"{label}, {name}: header"))
        reading.unknown += reserved(f"{label}, {name}: flags", place + 16, header["flags"] & ~MERGED)
        if "reserved" in header:
            reading.unknown += reserved(f"{label}, {name}: reserved", place + 36, header["reserved"])
        if not header["flags"] & MERGED:
            if layout.size + start + body > size:
                raise damaged(f"the body of section {name} ends after it", NAME, place)
            reading.parts.append(Part(place + layout.size + start, body, f"{label}, {name}"))
        heads.append((name, place, header))
        place += size
    bodies = {
        name: Span(at + layout.size + header["body_start"], header["body_size"])
        for name, at, header in reversed(heads)
        if not header["flags"] & MERGED
    }
    return tuple(_section(layout, bodies.get(".rdata"), *head) for head in heads), place


def _section(layout: Record, rdata: Span | None, name: str, at: int, header: dict[str, int]) -> Section:
    merged = bool(header["flags"] & MERGED)
    start, size = header["body_start"], header["body_size"]
    body = Span(at + layout.size + start, size)
    if merged:
        if rdata is None or start + size > rdata.size:
            raise damaged("a section is merged into .rdata, but lies outside of it", NAME, at)
        body = Span(rdata.offset + start, size)
    alignment = header.get("alignment") or None
    return Section(name, header["flags"], at, body, merged, header["memory_size"], alignment)
