"""NEF, the package of Kneron's chips: read every generation, check every checksum, write it back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

from modelbuild.errors import ModelbuildError
from modelbuild.formats import (
    fw_info,
    kne,
    nef_checks,
    nef_generations,
    nef_header,
    nef_patch,
    program_envelope,
    setup_flatbuffer,
    setup_legacy,
)
from modelbuild.formats.checks import Check
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.fw_info import FirmwareInfo, Record
from modelbuild.formats.nef_build import NefSource, build
from modelbuild.formats.nef_header import ModelInfo, NefFile
from modelbuild.formats.nef_objects import Nef, NefModel
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.parts import Part
from modelbuild.formats.setup_flatbuffer import FlatbufferSetup
from modelbuild.formats.setup_legacy import CpuNode, LegacySetup

__all__ = [
    "Check",
    "Checksum",
    "CpuNode",
    "Nef",
    "NefModel",
    "NefSource",
    "NefTensor",
    "build",
    "check",
    "combine",
    "parts",
    "read",
    "write",
]


def read(data: bytes) -> Nef:
    """Read a NEF of any generation.

    Errors: ModelbuildError (exit code 2) with the offset, for bytes that break the layout. Wrong
    checksums are no error: they are in `checksums`.
    """
    file = nef_header.decode(data)
    checksums = []
    if file.tail is not None:
        checksums.append(Checksum("file", file.tail, zlib.crc32(memoryview(data)[:-4])))
    if file.header.crc:
        checksums.append(Checksum("header.crc", file.header.crc, zlib.crc32(file.all_models)))
    if not file.firmware_info:
        block, models = _kne_models(file)
        return _checked(Nef(file, "kne", models, tuple(checksums), None, block))
    info = fw_info.decode(file.firmware_info)
    checksums += _firmware_checksums(info, file)
    generation, models = _firmware_models(info, file)
    return _checked(Nef(file, generation, models, tuple(checksums), info))


def _checked(nef: Nef) -> Nef:
    return replace(nef, checks=tuple(nef_checks.checks(nef)))


def write(nef: Nef) -> bytes:
    """The bytes of the file. For a file as it was read, they are the same bytes; where `nef.file` was edited,
    only what was edited changes (`nef_patch`). Checksums are written as they stand in `nef.file`."""
    return nef_patch.encode(nef.file)


def _firmware_checksums(info: FirmwareInfo, file: NefFile) -> list[Checksum]:
    if info.checksum is None or info.model_checksums is None or info.own_checksum is None:
        return []
    found = [Checksum("fw_info.all_models", info.checksum, zlib.crc32(file.all_models))]
    spans = fw_info.model_spans(info.records, file.all_models)
    for record, stored, span in zip(info.records, info.model_checksums, spans, strict=True):
        found.append(Checksum(f"fw_info.model {record.id}", stored, zlib.crc32(span)))
    own = len(file.firmware_info) - len(info.rest) - 4
    found.append(Checksum("fw_info", info.own_checksum, zlib.crc32(file.firmware_info[:own])))
    return found


def _firmware_models(info: FirmwareInfo, file: NefFile) -> tuple[str, tuple[NefModel, ...]]:
    sizes = [
        region.size for record in info.records for region in (record.command, record.weight, record.setup)
    ]
    if sum(sizes) > 2 * len(file.all_models):
        raise damaged(f"its sections overlap: {sum(sizes)} bytes in {len(file.all_models)}", "NEF fw_info", 4)
    generation = _generation(info, file)
    entries = {entry.id: entry for entry in file.infos or ()}
    models = [_firmware_model(record, info, file, generation, entries) for record in info.records]
    return generation, tuple(models)


def _generation(info: FirmwareInfo, file: NefFile) -> str:
    setup = fw_info.section(info.records[0].setup, info.records, file.all_models, "setup")
    chip = file.header.chip
    if setup[:4] == setup_legacy.MAGIC.to_bytes(4, "little"):
        return f"legacy{chip}"
    return nef_generations.if_encrypted(chip) if file.header.encryption_mode else nef_generations.FLATBUFFER


def _firmware_model(
    record: Record, info: FirmwareInfo, file: NefFile, generation: str, entries: dict[int, ModelInfo]
) -> NefModel:
    command = fw_info.section(record.command, info.records, file.all_models, "command")
    weight = fw_info.section(record.weight, info.records, file.all_models, "weight")
    setup = fw_info.section(record.setup, info.records, file.all_models, "setup")
    block = _setup(setup, file, generation)
    program, host = (
        program_envelope.unwrap(command) if program_envelope.is_wrapped(command) else (command, b"")
    )
    entry = entries.get(record.id)
    return NefModel(
        id=record.id,
        version=record.version,
        name=None if entry is None else entry.name,
        command=program,
        weight=weight,
        host=host,
        setup=setup,
        inputs=() if block is None else block.inputs,
        outputs=() if block is None else block.outputs,
        cpu_nodes=() if block is None else block.cpu_nodes,
        regions=record,
        block=block,
        listed=entry,
    )


def _setup(setup: bytes, file: NefFile, generation: str) -> FlatbufferSetup | LegacySetup | None:
    """What the block says; None for one that is encrypted."""
    try:
        if generation == "flatbuffer":
            return setup_flatbuffer.decode(setup)
        return setup_legacy.decode(setup, generation.removeprefix("legacy"))
    except ModelbuildError:
        if file.header.encryption_mode:
            return None
        raise


def _kne_models(file: NefFile) -> tuple[kne.Kne | None, tuple[NefModel, ...]]:
    entries = {entry.id: entry for entry in file.infos or ()}
    try:
        block = kne.decode(file.all_models)
    except ModelbuildError:
        if file.header.encryption_mode:
            return None, tuple(_named(entry) for entry in entries.values())
        raise
    models = tuple(_kne_model(model, entries.get(model.id)) for model in block.models)
    return replace(block, models=()), models


def _named(entry: ModelInfo) -> NefModel:
    return NefModel(
        entry.id, _hexadecimal(entry), entry.name, b"", b"", b"", b"", (), (), (), None, 0, listed=entry
    )


def _kne_model(model: kne.KneModel, entry: ModelInfo | None) -> NefModel:
    command = b"".join(unit[0] for unit in model.units)
    weight = b"".join(unit[1] for unit in model.units)
    host = b""
    if program_envelope.is_wrapped(command):
        command, host = program_envelope.unwrap(command)
    return NefModel(
        id=model.id,
        version=None if entry is None else _hexadecimal(entry),
        name=None if entry is None else entry.name,
        command=command,
        weight=weight,
        host=host,
        setup=b"",
        inputs=model.inputs,
        outputs=model.outputs,
        cpu_nodes=model.cpu_nodes,
        regions=None,
        npu_units=len(model.units),
        block=model,
        listed=entry,
    )


def _hexadecimal(entry: ModelInfo) -> int | None:
    """The version of a KNE model, which the list of models holds in hexadecimal."""
    try:
        return int(entry.version or "", 16)
    except ValueError:
        return None


def combine(nefs: Sequence[Nef]) -> Nef:
    """The models of several files in one: `nef_combine.combine`."""
    from modelbuild.formats import nef_combine

    return nef_combine.combine(nefs)


def parts(nef: Nef) -> tuple[Part, ...]:
    """What each byte of a file that was read is: `nef_parts.parts`."""
    from modelbuild.formats import nef_parts

    return nef_parts.parts(nef)


def check(nef: Nef, where: str = "") -> None:
    """Raise ModelbuildError naming every checksum that does not agree; `where` is what it calls the file."""
    wrong = [item for item in nef.checksums if not item.ok]
    if wrong:
        listed = ", ".join(
            f"{item.what} (stored {item.stored:08x}, computed {item.computed:08x})" for item in wrong
        )
        raise ModelbuildError(
            "the NEF is damaged: checksums do not agree",
            where=where,
            why=listed,
            advice="get the file again from where it was made",
        )
