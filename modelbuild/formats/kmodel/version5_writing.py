"""Writes version 5 of kmodel, release layout: sizes, paddings and order as nncase 1.9 has them."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import model
from modelbuild.formats.kmodel.image import ALIGNMENTS, RDATA, TEXT, Function, Image, Module, Section
from modelbuild.formats.kmodel.model import Kmodel, Span, Tensor
from modelbuild.formats.kmodel.records import NAME, number, packed
from modelbuild.formats.kmodel.types import DATATYPES, LOCATIONS
from modelbuild.formats.kmodel.version5 import FUNCTION, HEADER, MODULE
from modelbuild.formats.kmodel.version5_modules import MEMPOOL, MERGED, RANGE, SECTION

IDENTIFIER = int.from_bytes(b"LDMK", "little")
ALIGNMENT = 8  # of functions, modules and the file; sections have that of their module
MAX_ALIGNMENT = 4096
_NAME = 16  # bytes
_ZEROS = [0, 0, 0]


def write(image: Image) -> bytes:
    """The file. ModelbuildError for what the format does not hold, and for places outside of their module."""
    module, function = image.entry
    if not 0 <= module < len(image.modules) or not 0 <= function < len(image.modules[module].functions):
        raise ModelbuildError(f"the entry is function {function} of module {module}, which is not there")
    header = {
        "identifier": IDENTIFIER,
        "version": 5,
        "header_size": HEADER.size,
        "flags": image.flags,
        "alignment": max(ALIGNMENT, *(item.alignment for item in image.modules)),
        "modules": len(image.modules),
        "entry_module": module,
        "entry_function": function,
    }
    written = bytearray(HEADER.pack(header))
    for item in image.modules:
        written += _module(item, len(written))
    return bytes(written)


def image_of(found: Kmodel) -> Image:
    """What was read, to be written again byte for byte. ModelbuildError for other versions, the development
    layout, and where something would be lost: bytes behind the last module, reserved fields other than 0."""
    if (found.version, found.layout) != (5, "release"):
        raise damaged("only version 5, release layout, is written", NAME, 4)
    made = Image(tuple(_image(found, module) for module in found.modules), found.entry or (0, 0), found.flags)
    again = write(made)
    if again != found.data:
        place = next(
            (place for place, pair in enumerate(zip(again, found.data, strict=False)) if pair[0] != pair[1]),
            min(len(again), len(found.data)),
        )
        raise damaged("it has something that would be lost if it were written again", NAME, place)
    return made


def _module(module: Module, place: int) -> bytes:
    """The module at `place` of the file."""
    _check(module)
    body = bytearray(MODULE.size)
    for pool in module.mempools:
        body += MEMPOOL.pack({"location": pool.code, "reserved": _ZEROS, "size": pool.size})
    for function in module.functions:
        body += _function(function, place + len(body))
    for section in module.sections:
        body += _section(section, place + len(body), module.alignment)
    body += bytes(-(place + len(body)) % ALIGNMENT)
    header = {
        "type": _name(module.kind, _NAME, "kind of module"),
        "version": module.version,
        "header_size": MODULE.size,
        "size": len(body),
        "mempools": len(module.mempools),
        "shared_mempools": module.shared_mempools,
        "sections": len(module.sections),
        "functions": len(module.functions),
        "reserved": 0,
    }
    body[: MODULE.size] = MODULE.pack(header)
    return bytes(body)


def _function(function: Function, place: int) -> bytes:
    tensors = _tensors(function.inputs) + _tensors(function.outputs)
    tensors += bytes(-(place + FUNCTION.size + len(tensors)) % ALIGNMENT)
    header = {
        "header_size": FUNCTION.size,
        "size": FUNCTION.size + len(tensors),
        "input_pool_size": function.input_pool,
        "output_pool_size": function.output_pool,
        "inputs": len(function.inputs),
        "outputs": len(function.outputs),
        "entrypoint": function.entry,
        "text_size": function.text,
    }
    return FUNCTION.pack(header) + tensors


def _tensors(tensors: Sequence[Tensor]) -> bytes:
    """The ranges of all, then the shapes of all."""
    ranges, shapes = [], []
    for tensor in tensors:
        if tensor.shape is None or None in tensor.shape:
            raise ModelbuildError("an input or output of a function has no fixed shape")
        fields = {
            "location": number(LOCATIONS, tensor.memory, "memory of a tensor"),
            "datatype": number(DATATYPES, tensor.dtype, "type of a tensor"),
            "shared_module": 0,
            "start": tensor.address,
            "size": tensor.size,
        }
        ranges.append(RANGE.pack(fields))
        sizes = [size for size in tensor.shape if size is not None]
        shapes.append(packed(f"{1 + len(sizes)}I", len(sizes), *sizes, what="shape of a tensor"))
    return b"".join(ranges + shapes)


def _section(section: Section, place: int, alignment: int) -> bytes:
    start, size, padding = -(place + SECTION.size) % alignment, len(section.body), b""
    if section.merged is not None:
        start, size = section.merged.offset, section.merged.size
    else:
        padding = bytes(start)
    header = {
        "name": _name(section.name, _NAME - 1, "name of a section"),
        "flags": MERGED if section.merged is not None else 0,
        "body_start": start,
        "body_size": size,
        "reserved": 0,
    }
    return SECTION.pack(header) + padding + section.body


def _name(text: str, room: int, what: str) -> list[int]:
    """The bytes of a name, with zeros behind."""
    data = text.encode("ascii", "replace")
    if not text.isascii() or not 0 < len(data) <= room or "\0" in text:
        raise ModelbuildError(f"the {what} is {text!r}, and has room for 1 to {room} ASCII letters")
    return list(data.ljust(_NAME, b"\0"))


def _check(module: Module) -> None:
    """That the code of functions and merged sections lie where they are said to."""
    rdata = next((len(item.body) for item in module.sections if item.name == RDATA), 0)
    text = 0
    for section in module.sections:
        merged = section.merged
        if merged is not None and (
            section.body or merged.offset < 0 or not 0 <= merged.size <= rdata - merged.offset
        ):
            raise ModelbuildError(f"section {section.name} is merged into .rdata, but lies outside of it")
        if section.name == TEXT:
            text = len(section.body) if merged is None else merged.size
    for index, function in enumerate(module.functions):
        if function.entry < 0 or not 0 <= function.text <= text - function.entry:
            raise ModelbuildError(f"the code of function {index} lies outside of the {text} bytes of .text")
    if not 1 <= module.alignment <= MAX_ALIGNMENT:
        raise ModelbuildError(f"sections of module {module.kind} are aligned to {module.alignment} bytes")


def _image(found: Kmodel, module: model.Module) -> Module:
    functions = tuple(
        Function(
            item.inputs, item.outputs, item.entry, item.text, item.input_pool or 0, item.output_pool or 0
        )
        for item in module.functions
    )
    rdata = module.section(RDATA)
    sections = []
    for item in module.sections:
        if item.merged:
            start = item.body.offset - (rdata.body.offset if rdata else 0)
            sections.append(Section(item.name, merged=Span(start, item.body.size)))
        else:
            sections.append(Section(item.name, found.data[item.body.offset : item.body.end]))
    alignment = ALIGNMENTS.get(module.kind, found.alignment or ALIGNMENT)
    return Module(
        module.kind,
        module.mempools,
        functions,
        tuple(sections),
        alignment,
        module.version or 0,
        module.shared_mempools,
    )
