"""Other ids and versions for the models of a NEF, with the checksums made anew."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer, fw_info, nef, nef_patch
from modelbuild.formats.fw_info import FirmwareInfo
from modelbuild.formats.nef_header import ModelInfo, NefFile
from modelbuild.formats.nef_objects import Nef

_MAX_ID = (1 << 31) - 1
_MAX_VERSION = 0xFFFF


def edited(one: Nef, ids: Mapping[int, int] | None = None, versions: Mapping[int, int] | None = None) -> Nef:
    """The file with other ids (old -> new) and versions (id -> version, up to 0xFFFF), a version's id being
    the one that the file has, or else the new one.

    Nothing else changes but the checksums above it. Errors: ModelbuildError for a damaged or an encrypted
    file, ids that no model has or that two models would have, and versions that the file has no room for.
    """
    ids = dict(ids or {})
    present, before = {model.id for model in one.models}, {new: old for old, new in ids.items()}
    versions = {
        number if number in present else before.get(number, number): version
        for number, version in (versions or {}).items()
    }
    _check(one, ids, versions)
    file = one.file
    infos = None
    if file.infos is not None:
        infos = tuple(_info(entry, one, ids, versions) for entry in file.infos)
    all_models = file.all_models
    firmware = file.firmware_info
    if one.firmware_info is not None:
        firmware = fw_info.encode(_records(one.firmware_info, ids, versions))
    else:
        all_models = _kne_ids(all_models, ids)
    changed = replace(file, infos=infos, firmware_info=firmware, all_models=all_models)
    return nef.read(nef_patch.sealed(_summed(changed)))


def listed(ids: Sequence[int]) -> str:
    """The models of a file in an error, by their ids."""
    return f"the model{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"


def _check(one: Nef, ids: Mapping[int, int], versions: Mapping[int, int]) -> None:
    nef.check(one)
    if one.encrypted and one.firmware_info is None:
        raise ModelbuildError(
            "the ids of an encrypted KNE cannot be changed", advice="decrypt the file first"
        )
    present = [model.id for model in one.models]
    for number in (*ids, *versions):
        if number not in present:
            raise ModelbuildError(
                f"there is no model {number} in the file",
                why=f"it has {listed(present)}",
                advice="an id and a version are those of a model as the file has it",
            )
    for number in ids.values():
        if not 1 <= number <= _MAX_ID:
            raise ModelbuildError(
                f"the id {number} is not in 1 to {_MAX_ID}", advice="customers' ids are 32768 and more"
            )
    after = [ids.get(number, number) for number in present]
    twice = sorted({number for number in after if after.count(number) > 1})
    if twice:
        raise ModelbuildError(
            f"two models would have the id {twice[0]}", advice="give each model an id of its own"
        )
    for number, version in versions.items():
        if not 0 <= version <= _MAX_VERSION:
            raise ModelbuildError(
                f"the version of model {number} has more than four hexadecimal digits",
                advice="a version is 0000 to ffff",
            )
    versioned = {entry.id for entry in one.file.infos or () if entry.version is not None}
    if one.firmware_info is None and not set(versions) <= versioned:
        raise ModelbuildError(
            "the list of models has no versions, and a KNE has no other place for them",
            advice="generate the file again: modelbuild nef extract, then modelbuild nef generate",
        )


def _info(entry: ModelInfo, one: Nef, ids: Mapping[int, int], versions: Mapping[int, int]) -> ModelInfo:
    version = entry.version
    if entry.id in versions and version is not None:
        hexadecimal = one.firmware_info is None
        if not hexadecimal:
            record = next(model.version for model in one.models if model.id == entry.id)
            hexadecimal = version.strip() != str(record)
        version = _worded(versions[entry.id], version, hexadecimal)
    return ModelInfo(entry.name, ids.get(entry.id, entry.id), version)


def _worded(number: int, before: str, hexadecimal: bool) -> str:
    """The number as the text before was written: decimal, or hexadecimal with its prefix, width and case."""
    if not hexadecimal:
        return str(number)
    found = re.fullmatch(r"(0[xX])?([0-9a-fA-F]*)", before.strip())
    prefix, digits = (found[1] or "", found[2]) if found else ("", "0000")
    text = f"{number:0{len(digits)}x}"
    return prefix + (text.upper() if digits != digits.lower() else text)


def _records(info: FirmwareInfo, ids: Mapping[int, int], versions: Mapping[int, int]) -> FirmwareInfo:
    records = tuple(
        replace(record, id=ids.get(record.id, record.id), version=versions.get(record.id, record.version))
        for record in info.records
    )
    changed = replace(info, records=records)
    if info.own_checksum is None:
        return changed
    own = zlib.crc32(fw_info.encode(replace(changed, rest=b""))[:-4])
    return replace(changed, own_checksum=own)


def _kne_ids(data: bytes, ids: Mapping[int, int]) -> bytes:
    changed = bytearray(data)
    for table in flatbuffer.root(data, "KNE").tables(2):
        header = table.required(0, "model header")
        place, number = header.offset(0), header.integer(0, "i")
        if place is not None and number in ids:
            struct.pack_into("<i", changed, place, ids[number])
        elif number in ids:
            raise ModelbuildError(f"model {number} has no id of its own in the KNE")
    return bytes(changed)


def _summed(file: NefFile) -> NefFile:
    """The file with the header's checksum of all_models, and the uuid where it was that."""
    checksum, before = zlib.crc32(file.all_models), file.header.crc
    if not before or before == checksum:
        return file
    uuid = checksum if file.header.uuid == before else file.header.uuid
    return replace(file, header=replace(file.header, crc=checksum, uuid=uuid))
