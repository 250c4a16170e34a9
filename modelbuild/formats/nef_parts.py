"""What each byte of a NEF is."""

from __future__ import annotations

from collections.abc import Iterator

from modelbuild.formats import flatbuffer, fw_info, kne, nef_texts, setup_flatbuffer
from modelbuild.formats.flatbuffer_schema import walk
from modelbuild.formats.fw_info import FirmwareInfo
from modelbuild.formats.kneron_schemas import OUTER
from modelbuild.formats.nef_objects import Nef
from modelbuild.formats.parts import Part, covered, filled
from modelbuild.formats.setup_flatbuffer import FlatbufferSetup
from modelbuild.formats.setup_legacy import LegacySetup

_BINARIES = {
    "NPUEUParams.cmd": "command",
    "NPUEUParams.weight": "weight",
    "Model.const_input": "constant input",
}


def parts(nef: Nef) -> tuple[Part, ...]:
    """Every part of the file as it was read, in the order of offsets; the parts of a binary follow it.

    Of setup and KNE blocks the binaries are told, and what nobody knows; the rest is one part."""
    file = nef.file
    content = flatbuffer.root(file.source, "NEF")
    binaries = content.required(3, "model_bin table")
    found = list(walk(flatbuffer.root(file.source, "NEF"), OUTER).parts)
    firmware, models = (binaries.content_span(slot) for slot in (0, 1))
    if nef.firmware_info is not None and firmware is not None:
        found += _firmware(nef.firmware_info, firmware[0])
    if models is not None:
        inside = list(_kne(nef, models[0]) if nef.generation == "kne" else _sections(nef, models[0]))
        found += filled(inside, file.all_models, models[0]) if inside else []
    end = len(file.source) - (0 if file.tail is None else 4)
    if file.tail is not None:
        found.append(Part(end, 4, "CRC-32 of the file"))
    known = set(found)
    found = [
        part
        for whole in filled(found, memoryview(file.source))
        for part in (
            _texts(whole, file.source)
            if not (whole.known or whole in known or file.unknown)
            else (whole,)  # what nobody knows may refer to it
        )
    ]
    return covered(found, len(file.source))


def _texts(gap: Part, data: bytes) -> Iterator[Part]:
    """A gap as the texts that fill it, or as what it is."""
    found = tuple(nef_texts.rooms(data, gap.offset, gap.offset + gap.size))
    for room in found:
        yield Part(room.start, room.end - room.start, "text that nothing refers to")
    if not found:
        yield gap


def _firmware(info: FirmwareInfo, start: int) -> Iterator[Part]:
    yield Part(start, 4, "fw_info: number of models")
    place = start + 4
    for record in info.records:
        yield Part(place, fw_info.RECORD.size, f"fw_info: record of model {record.id}")
        place += fw_info.RECORD.size
    yield Part(place, 4, "fw_info: end of the DRAM")
    yield Part(place + 4, 4, "fw_info: size of all_models")
    place += 8
    if info.checksum is not None:
        yield Part(place, 4, "fw_info: CRC-32 of all_models")
        for record in info.records:
            place += 4
            yield Part(place, 4, f"fw_info: CRC-32 of model {record.id}")
        yield Part(place + 4, 4, "fw_info: CRC-32 of fw_info")
        place += 8
    yield Part(place, len(info.rest), "fw_info: rest", known=False)


def _sections(nef: Nef, start: int) -> Iterator[Part]:
    encrypted = ", encrypted" if nef.encrypted else ""
    base = nef.firmware_info.records[0].command.address if nef.firmware_info else 0
    for model in nef.models:
        if model.regions is None:
            continue
        for name in ("command", "weight", "setup"):
            region = getattr(model.regions, name)
            if region.size:  # the address of one without bytes may be anything
                place = start + region.address - base
                yield Part(place, region.size, f"{name} of model {model.id}{encrypted}")
        yield from _unknown_in_setup(model.setup, model.block, start + model.regions.setup.address - base)


def _unknown_in_setup(setup: bytes, block: object, start: int) -> Iterator[Part]:
    if isinstance(block, FlatbufferSetup):
        yield from _unknown(setup_flatbuffer.walked(setup).parts, setup, start)
    elif isinstance(block, LegacySetup) and block.end < len(setup):
        rest = setup[block.end :]
        zero = not rest.strip(b"\0")
        yield Part(start + block.end, len(rest), "padding" if zero else "unknown", zero)


def _kne(nef: Nef, start: int) -> Iterator[Part]:
    data = nef.file.all_models
    if nef.kne is None:  # encrypted
        yield Part(start, len(data), "KNE block, encrypted")
        return
    yield Part(start, len(data), "KNE block")
    walked = kne.walked(data, nef.kne)
    for part in walked.parts:
        if part.what in _BINARIES:
            yield Part(start + part.offset + 4, part.size - 4, _BINARIES[part.what])
    yield from _unknown(walked.parts, data, start)


def _unknown(found: tuple[Part, ...], data: bytes, start: int) -> Iterator[Part]:
    """What nobody knows among the parts of a block, and between them."""
    for part in filled(list(found), data):
        if not part.known:
            yield Part(start + part.offset, part.size, part.what, known=False)
