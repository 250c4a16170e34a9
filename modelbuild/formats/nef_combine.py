"""Several NEFs of one chip and container generation as one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, kl520_commands, kne_combine, nef, nef_addresses, nef_header
from modelbuild.formats.fw_info import FirmwareInfo, Record, Region
from modelbuild.formats.nef import Nef
from modelbuild.formats.nef_header import ModelInfo, NefFile, NefHeader

ALIGNMENT = 16  # of buffers and binaries, as in the vendor's files
_ADDRESS_LIMIT = 1 << 32
_MAX_GAPS = 1 << 24  # bytes of zeros between binaries that stay where they are
_TOGETHER = "compile the models together: the vendor's ktc.compile takes a list of them"


def combine(nefs: Sequence[Nef], names: Sequence[str] = (), *, drop_unknown: bool = False) -> Nef:
    """One file with the models of all; `names` is what errors call the files.

    They are in the order of the files, except for programs that must stay at their addresses: there it is the
    order of these. The header is that of the file with the newest schema, the first of several; checksums are
    made anew. Models share one input and one working buffer, each has its own output
    (`docs/format-nef.md`). Errors:
    ModelbuildError for no files, damaged or encrypted ones, several chips, generations or kinds of program
    in one, ids that two models have, programs that cannot be moved, and header fields that nobody knows
    unless `drop_unknown`.
    """
    called = tuple(names) or tuple(f"file {index}" for index in range(1, len(nefs) + 1))
    _check(nefs, called)
    if len(nefs) == 1:
        return nefs[0]
    if not drop_unknown:
        _check_unknown(nefs, called)
    generation = nefs[0].generation
    firmware, all_models = (b"", _kne(nefs)) if generation == "kne" else _binaries(nefs, called)
    return nef.read(nef_header.seal(_outer(nefs, firmware, all_models)))


def _check(nefs: Sequence[Nef], names: Sequence[str]) -> None:
    if not nefs:
        raise ModelbuildError("no NEF is named", advice="name the files to combine")
    count = sum(len(one.models) for one in nefs)
    if count > fw_info.MAX_MODELS:
        raise ModelbuildError(
            f"the NEFs have {count} models together",
            why=f"a file has room for {fw_info.MAX_MODELS}",
            advice="make several files",
        )
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


def _check_unknown(nefs: Sequence[Nef], names: Sequence[str]) -> None:
    """A field of a header that no schema has would be lost: what it refers to is not known either."""
    for name, one in zip(names, nefs, strict=True):
        inside = one.kne.unknown if one.kne else ()
        lost = [*one.file.unknown, *(field for field in inside if field.table in _HEADS)]
        if lost:
            raise ModelbuildError(
                "the header has fields that nobody knows, which the combined file would not have",
                where=name,
                why=", ".join(f"slot {field.slot} of {field.table} is {field.raw.hex()}" for field in lost),
                advice="leave them out with --drop-unknown if the chip does without them",
            )


_HEADS = ("KNEContent", "KNEHeader", "BufferInfo", "SchemaVersion")
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
        infos = tuple(entry for one in nefs for entry in _infos(one))
    return NefFile(header, infos, firmware, all_models, None)


def _infos(one: Nef) -> tuple[ModelInfo, ...]:
    """The list of models; where a file has none, what its records say."""
    if one.file.infos is not None:
        return one.file.infos
    return tuple(ModelInfo(None, model.id, str(model.version or 0)) for model in one.models)


def _kne(nefs: Sequence[Nef]) -> bytes:
    return kne_combine.combine([one.file.all_models for one in nefs], own=not nefs[0].silicon)


@dataclass(frozen=True)
class _Map:
    """Where each file's binaries begin, where the last end, and each model's input, output and working
    buffer."""

    starts: tuple[int, ...]
    end: int
    buffers: tuple[tuple[Region, Region, Region], ...]


def _binaries(nefs: Sequence[Nef], names: Sequence[str]) -> tuple[bytes, bytes]:
    """(fw_info, all_models) of the combined file."""
    fixed = [
        f"{name}: model {record.id}"
        for name, one in zip(names, nefs, strict=True)
        for record in _info(one).records
        if not _movable(one, record)
    ]
    if fixed:
        nefs, place = _kept(nefs, fixed)
    else:
        place = _laid_out(nefs)
    all_models = bytearray(place.end - place.starts[0])
    records: list[Record] = []
    for one, start in zip(nefs, place.starts, strict=True):
        blob = one.file.all_models
        at = start - place.starts[0]
        all_models[at : at + len(blob)] = blob
        shift = start - _info(one).records[0].command.address
        for old in _info(one).records:
            new = _moved(old, shift, place.buffers[len(records)])
            if new != old:
                at = new.setup.address - place.starts[0]
                block = nef_addresses.moved(_setup(one, old), one.generation, old, new)
                all_models[at : at + len(block)] = block
                if one.silicon and one.generation == "legacy520":
                    at = new.command.address - place.starts[0]
                    command = kl520_commands.moved(_command(one, old), old, new)
                    all_models[at : at + len(command)] = command
            records.append(new)
    binary = bytes(all_models)
    sealed = fw_info.sealed(tuple(records), place.end, binary)
    if all(_info(one).checksum is None for one in nefs):  # files of 2020 stop after the size
        sealed = replace(sealed, checksum=None, model_checksums=None, own_checksum=None)
    return fw_info.encode(sealed), binary


def _info(one: Nef) -> FirmwareInfo:
    assert one.firmware_info is not None
    return one.firmware_info


def _setup(one: Nef, record: Record) -> bytes:
    return fw_info.section(record.setup, _info(one).records, one.file.all_models, "setup")


def _command(one: Nef, record: Record) -> bytes:
    return fw_info.section(record.command, _info(one).records, one.file.all_models, "command")


def _movable(one: Nef, record: Record) -> bool:
    """A program of modelbuild's counts from its regions; a vendor's may be moved if its setup says that it
    does, or for KL520 if every address in its commands is known."""
    if not one.silicon:
        return True
    if one.generation == "legacy520":
        return kl520_commands.movable(_command(one, record), record)
    return nef_addresses.movable(_setup(one, record), one.generation, record)


def _laid_out(nefs: Sequence[Nef]) -> _Map:
    """One input and one working buffer for all, an output each in sequence, then the binaries."""
    records = [record for one in nefs for record in _info(one).records]
    base = min(record.input.address for record in _info(nefs[0]).records)
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
    return _Map(tuple(starts), place, tuple(buffers))


def _kept(nefs: Sequence[Nef], fixed: Sequence[str]) -> tuple[Sequence[Nef], _Map]:
    """Every region where it is, with the files in the order of their addresses: programs that hold DRAM
    addresses go together only where they were compiled for places beside each other."""
    ordered = sorted(nefs, key=_start)
    binaries = [range(_start(one), _start(one) + len(one.file.all_models)) for one in ordered]
    records = [record for one in ordered for record in _info(one).records]
    buffers = tuple((record.input, record.output, record.working) for record in records)
    used = [range(at.address, at.address + at.size) for three in buffers for at in three if at.size]
    apart = all(first.stop <= second.start for first, second in pairwise(binaries))
    apart = apart and not any(_overlap(one, two) for one in used for two in binaries)
    gaps = sum(second.start - first.stop for first, second in pairwise(binaries)) if apart else 0
    if not apart or gaps > _MAX_GAPS:
        raise ModelbuildError(
            "the models cannot lie in memory together",
            where=", ".join(fixed),
            why="their programs hold DRAM addresses that overlap or lie far apart, and where all of them "
            "stand in the commands is not known, so that they cannot be changed",
            advice=_TOGETHER,
        )
    return ordered, _Map(tuple(one.start for one in binaries), binaries[-1].stop, buffers)


def _start(one: Nef) -> int:
    return _info(one).records[0].command.address


def _overlap(one: range, two: range) -> bool:
    return one.start < two.stop and two.start < one.stop


def _moved(old: Record, shift: int, buffers: tuple[Region, Region, Region]) -> Record:
    def at(region: Region) -> Region:
        if not region.size and not region.address:
            return region
        return Region(region.address + shift, region.size)

    return Record(old.id, old.version, *buffers, at(old.command), at(old.weight), at(old.setup))


def _aligned(value: int) -> int:
    return -(-value // ALIGNMENT) * ALIGNMENT
