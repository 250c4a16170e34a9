"""Version 5 of kmodel (nncase 1.x; K210, K510, CPU), in both of its layouts: functions and sections."""

from __future__ import annotations

from modelbuild.formats.checks import Check, unless
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import types
from modelbuild.formats.kmodel.filling import filled, reserved
from modelbuild.formats.kmodel.model import Function, Kmodel, Module, Unknown, alignment_check
from modelbuild.formats.kmodel.records import NAME, record, text, words
from modelbuild.formats.kmodel.version5_modules import (
    MEMPOOL,
    Reading,
    read_mempools,
    read_sections,
    read_tensors,
)
from modelbuild.formats.parts import Part

HEADER = record(
    "identifier:u32 version:u32 header_size:u32 flags:u32 alignment:u32 modules:u32 entry_module:u32"
    " entry_function:u32"
)
MODULE = record(
    "type:u8*16 version:u32 header_size:u32 size:u32 mempools:u32 shared_mempools:u32 sections:u32"
    " functions:u32 reserved:u32"
)
FUNCTION = record(
    "header_size:u32 size:u32 input_pool_size:u32 output_pool_size:u32 inputs:u32 outputs:u32 entrypoint:u32"
    " text_size:u32"
)
DEVELOPMENT_HEADER = record("identifier:u32 version:u32 flags:u32 alignment:u32 modules:u32 main_module:u32")
DEVELOPMENT_MODULE = record(
    "type:u8*16 size:u32 mempools:u32 inputs:u32 outputs:u32 sections:u32 reserved:u32"
)
MAX_MODULES = 4096


def read(data: bytes) -> Kmodel:
    """Errors: ModelbuildError with the offset."""
    return _release(data) if words(data, 8, "I")[0] == HEADER.size else _development(data)


def _release(data: bytes) -> Kmodel:
    flags, alignment, count, entry_module, entry_function = words(data, 12, "5I")
    reading = Reading(data, types.LOCATIONS, [Part(0, HEADER.size, "header")], reserved("flags", 12, flags))
    modules, end = _modules(reading, HEADER.size, count, development=False)
    return _kmodel(reading, modules, end, "release", flags, alignment, (entry_module, entry_function))


def _development(data: bytes) -> Kmodel:
    flags, alignment, count, main = words(data, 8, "4I")
    reading = Reading(
        data,
        types.DEVELOPMENT_LOCATIONS,
        [Part(0, DEVELOPMENT_HEADER.size, "header")],
        reserved("flags", 8, flags),
    )
    modules, end = _modules(reading, DEVELOPMENT_HEADER.size, count, development=True)
    return _kmodel(reading, modules, end, "development", flags, alignment, (main, 0))


def _kmodel(
    reading: Reading,
    modules: tuple[Module, ...],
    end: int,
    layout: str,
    flags: int,
    alignment: int,
    entry: tuple[int, int],
) -> Kmodel:
    function = entry_of(modules, entry)
    return Kmodel(
        5,
        reading.data,
        layout,
        flags,
        target_of(modules),
        alignment,
        function.inputs if function else (),
        function.outputs if function else (),
        modules=modules,
        entry=entry,
        found=filled(reading.data, reading.parts),
        unknown=tuple(reading.unknown),
        checks=(entry_check(function, entry), alignment_check(alignment, len(reading.data))),
        unread=len(reading.data) - end,
    )


def entry_of(modules: tuple[Module, ...], entry: tuple[int, int]) -> Function | None:
    """The function that a run starts with, if it is there."""
    if entry[0] < len(modules) and entry[1] < len(modules[entry[0]].functions):
        return modules[entry[0]].functions[entry[1]]
    return None


def entry_check(function: Function | None, entry: tuple[int, int]) -> Check:
    """That the function that a run starts with is there."""
    why = "" if function else f"there is no function {entry[1]} of module {entry[0]}"
    return unless("the entry function is there", why)


def target_of(modules: tuple[Module, ...]) -> str:
    """The kind of the first module that is none of the stack machine's; the CPU if all are."""
    return next((module.kind for module in modules if module.kind != "stackvm"), "cpu")


def _modules(
    reading: Reading, place: int, count: int, *, development: bool
) -> tuple[tuple[Module, ...], int]:
    if not 1 <= count <= MAX_MODULES:
        raise damaged(f"it claims {count} modules", NAME, 16 if development else 20)
    found = []
    for index in range(count):
        reader = _development_module if development else _module
        found.append(reader(reading, place, index))
        place += found[-1].size
    return tuple(found), place


def _claimed(reading: Reading, place: int, size: int, header: int) -> int:
    """Where the module ends, which must be inside the file."""
    if size < header or place + size > len(reading.data):
        raise damaged(f"a module of {size} bytes lies outside its {len(reading.data)} bytes", NAME, place)
    return place + size


def _module(reading: Reading, place: int, index: int) -> Module:
    data = reading.data
    version, header_size, size, pools, shared, sections, functions, rest = words(data, place + 16, "8I")
    end = _claimed(reading, place, size, MODULE.size)
    kind = text(data, place, 16)
    label = f"module {index}, {kind}"
    if header_size != MODULE.size:
        reading.unknown.append(Unknown(f"{label}: header size", place + 20, header_size))
    reading.unknown += reserved(f"{label}: reserved", place + 44, rest)
    reading.parts.append(Part(place, MODULE.size, f"{label}: header"))
    at = place + MODULE.size
    memory = read_mempools(reading, at, end, pools, label)
    at += MEMPOOL.size * pools
    at += _shared(reading, at, end, shared, functions, label)
    found = []
    for number in range(reading.count("functions", functions, place)):
        found.append(_function(reading, at, end, f"{label}, function {number}"))
        at += found[-1].size
    return Module(
        kind,
        version,
        place,
        size,
        memory,
        tuple(found),
        read_sections(reading, at, end, sections, label),
        shared,
    )


def _shared(reading: Reading, at: int, end: int, shared: int, functions: int, label: str) -> int:
    """Bytes of the pools shared with other modules. The runtime reads them, but the compiler counts them
    without writing them: they are there if the first function, or the first section, begins behind them."""
    size = 8 * shared
    if not shared or at + size + 4 > end:
        return 0
    (here,), (behind,) = words(reading.data, at, "I", end), words(reading.data, at + size, "I", end)
    if functions and here == FUNCTION.size and behind != FUNCTION.size:
        return 0
    if not functions and reading.data[at : at + 1] == b".":
        return 0
    reading.parts.append(Part(at, size, f"{label}: shared memory pools"))
    return size


def _function(reading: Reading, place: int, end: int, label: str) -> Function:
    data = reading.data
    header_size, size, input_pool, output_pool, inputs, outputs, entry, length = words(data, place, "8I", end)
    if size < FUNCTION.size or place + size > end:
        raise damaged(f"a function of {size} bytes lies outside its module", NAME, place)
    if header_size != FUNCTION.size:
        reading.unknown.append(Unknown(f"{label}: header size", place, header_size))
    reading.parts.append(Part(place, FUNCTION.size, f"{label}: header"))
    last = place + size
    entering, at = read_tensors(reading, place + FUNCTION.size, last, inputs, f"{label}: inputs")
    leaving, at = read_tensors(reading, at, last, outputs, f"{label}: outputs")
    return Function(place, size, entering, leaving, entry, length, input_pool, output_pool)


def _development_module(reading: Reading, place: int, index: int) -> Module:
    """The module of the layout before 1.0.0-beta1: its size is without this header, it is one function."""
    data = reading.data
    size, pools, inputs, outputs, sections, rest = words(data, place + 16, "6I")
    end = _claimed(reading, place, size + DEVELOPMENT_MODULE.size, DEVELOPMENT_MODULE.size)
    kind = text(data, place, 16)
    label = f"module {index}, {kind}"
    reading.unknown += reserved(f"{label}: reserved", place + 36, rest)
    reading.parts.append(Part(place, DEVELOPMENT_MODULE.size, f"{label}: header"))
    at = place + DEVELOPMENT_MODULE.size
    memory = read_mempools(reading, at, end, pools, label)
    at += MEMPOOL.size * pools
    start = at
    entering, at = read_tensors(reading, at, end, inputs, f"{label}: inputs")
    leaving, at = read_tensors(reading, at, end, outputs, f"{label}: outputs")
    found = read_sections(reading, at, end, sections, label)
    code = next((item.body.size for item in found if item.name == ".text"), 0)
    function = Function(start, at - start, entering, leaving, 0, code)
    return Module(kind, None, place, end - place, memory, (function,), found)
