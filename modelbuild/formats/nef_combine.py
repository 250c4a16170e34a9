"""Several NEFs of one chip and container generation as one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, kne_combine, nef, nef_addresses, nef_header
from modelbuild.formats.fw_info import Record, Region
from modelbuild.formats.nef import Nef
from modelbuild.formats.nef_header import ModelInfo, NefFile, NefHeader

ALIGNMENT = 16  # of buffers and binaries, as in the vendor's files
_ADDRESS_LIMIT = 1 << 32
_TOGETHER = "compile the models together: the vendor's ktc.compile takes a list of them"


def combine(nefs: Sequence[Nef], names: Sequence[str] = ()) -> Nef:
    """One file with the models of all, in their order; `names` is what errors call the files.

    The header is that of the file with the newest schema, the first of several; checksums are made anew.
    Models share one input and one working buffer, each has its own output (`docs/format-nef.md`). Errors:
    ModelbuildError for no files, damaged or encrypted ones, several chips, generations or kinds of program
    in one, ids that two models have, and programs that cannot be moved.
    """
    called = tuple(names) or tuple(f"file {index}" for index in range(1, len(nefs) + 1))
    _check(nefs, called)
    if len(nefs) == 1:
        return nefs[0]
    generation = nefs[0].generation
    firmware, all_models = (b"", _kne(nefs)) if generation == "kne" else _binaries(nefs, called)
    return nef.read(nef_header.seal(_outer(nefs, firmware, all_models)))


def _check(nefs: Sequence[Nef], names: Sequence[str]) -> None:
    if not nefs:
        raise ModelbuildError("no NEF is named", advice="name the files to combine")
    for name, one in zip(names, nefs, strict=True):
        nef.check(one, name)
        if one.encrypted:
            raise ModelbuildError(
                "an encrypted NEF cannot be combined",
                where=name,
                why="the addresses inside it would have to change",
                advice="combine the plain files, then encrypt the result",
            )
    _alike(names, [one.target for one in nefs], "the NEFs are for different chips", "name files of one chip")
    _alike(
        names,
        [_GENERATIONS.get(one.generation, one.generation) for one in nefs],
        "the NEFs are of different container generations",
        "compile the older models again with the newer toolchain (or, for KL720, all with flatbuffer: false)",
    )
    _alike(
        names,
        ["the chip" if one.silicon else "modelbuild's simulator" for one in nefs],
        "the programs in the NEFs are not for the same machine",
        "combine simulator files (.sim.nef) with such only",
    )
    owners: dict[int, str] = {}
    for name, one in zip(names, nefs, strict=True):
        for model in one.models:
            if model.id in owners:
                raise ModelbuildError(
                    f"two models have the id {model.id}",
                    where=f"{owners[model.id]} and {name}",
                    advice=f"give one another id: modelbuild nef set {name} --id {model.id}=NEW -o OUT.nef",
                )
            owners[model.id] = name


_GENERATIONS = {
    "legacy520": "legacy",
    "legacy720": "legacy (toolchains before 0.20)",
    "flatbuffer": "FlatBuffer (toolchains since 0.20)",
    "kne": "KNE",
}


def _alike(names: Sequence[str], values: Sequence[str], what: str, advice: str) -> None:
    if len(set(values)) > 1:
        why = "; ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
        raise ModelbuildError(what, why=why, advice=advice)


def _outer(nefs: Sequence[Nef], firmware: bytes, all_models: bytes) -> NefFile:
    newest = max(nefs, key=lambda one: one.file.header.schema or (0, 0, 0))
    checksum = zlib.crc32(all_models)
    header: NefHeader = replace(
        newest.file.header,
        crc=checksum if any(one.file.header.crc for one in nefs) else 0,
        uuid=checksum if any(one.file.header.uuid for one in nefs) else 0,
    )
    infos = None
    if any(one.file.infos is not None for one in nefs):
        infos = tuple(info for one in nefs for info in _infos(one))
    return NefFile(header, infos, firmware, all_models, None)


def _infos(one: Nef) -> tuple[ModelInfo, ...]:
    """The list of models; where a file has none, what its records say."""
    if one.file.infos is not None:
        return one.file.infos
    return tuple(ModelInfo(None, model.id, str(model.version or 0)) for model in one.models)


def _kne(nefs: Sequence[Nef]) -> bytes:
    return kne_combine.combine([one.file.all_models for one in nefs], own=not nefs[0].silicon)


def _binaries(nefs: Sequence[Nef], names: Sequence[str]) -> tuple[bytes, bytes]:
    """(fw_info, all_models) of the combined file."""
    infos = [one.firmware_info for one in nefs if one.firmware_info is not None]
    starts, end, buffers = _map(nefs)
    all_models = bytearray(end - starts[0])
    records: list[Record] = []
    for one, name, info, start in zip(nefs, names, infos, starts, strict=True):
        blob = one.file.all_models
        place = start - starts[0]
        all_models[place : place + len(blob)] = blob
        shift = start - info.records[0].command.address
        for old in info.records:
            new = _moved(old, shift, buffers[len(records)])
            _move_setup(all_models, starts[0], one, old, new, name)
            records.append(new)
    binary = bytes(all_models)
    sealed = fw_info.sealed(tuple(records), end, binary)
    if all(info.checksum is None for info in infos):  # files of 2020 stop after the size
        sealed = replace(sealed, checksum=None, model_checksums=None, own_checksum=None)
    return fw_info.encode(sealed), binary


_Buffers = tuple[Region, Region, Region]  # input, output, working


def _map(nefs: Sequence[Nef]) -> tuple[list[int], int, list[_Buffers]]:
    """Where each file's binaries begin, where the last end, and each model's buffers: one input and one
    working buffer for all, an output each in sequence, then the binaries."""
    records = [record for one in nefs if one.firmware_info for record in one.firmware_info.records]
    first = [record for one in nefs[:1] if one.firmware_info for record in one.firmware_info.records]
    base = min(record.input.address for record in first)
    place = base + _aligned(max(record.input.size for record in records))
    outputs = []
    for record in records:
        outputs.append(Region(place, record.output.size))
        place += _aligned(record.output.size)
    buffers = [
        (Region(base, record.input.size), output, Region(place, record.working.size))
        for record, output in zip(records, outputs, strict=True)
    ]
    place += _aligned(max(record.working.size for record in records))
    starts = []
    for one in nefs:
        starts.append(place)
        place += _aligned(len(one.file.all_models))
    if place >= _ADDRESS_LIMIT:
        raise ModelbuildError(
            f"the models do not fit 32-bit addresses together: they reach {place:#x}",
            advice="combine fewer of them",
        )
    return starts, place, buffers


def _moved(old: Record, shift: int, buffers: _Buffers) -> Record:
    def at(region: Region) -> Region:
        return Region(region.address + shift, region.size)

    return Record(old.id, old.version, *buffers, at(old.command), at(old.weight), at(old.setup))


def _move_setup(binary: bytearray, base: int, one: Nef, old: Record, new: Record, name: str) -> None:
    """Put the model's new addresses into its setup block."""
    if old == new:
        return
    place = new.setup.address - base
    block = bytes(binary[place : place + new.setup.size])
    if one.silicon and not nef_addresses.movable(block, one.generation, old):
        raise ModelbuildError(
            f"model {old.id} cannot be moved to another place in memory",
            where=name,
            why="its program holds DRAM addresses, and where they stand in its commands is not public",
            advice=_TOGETHER,
        )
    binary[place : place + new.setup.size] = nef_addresses.moved(block, one.generation, old, new)


def _aligned(value: int) -> int:
    return -(-value // ALIGNMENT) * ALIGNMENT
