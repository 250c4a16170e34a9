"""A NEF around binaries that were taken out of one."""

from __future__ import annotations

import zlib

from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, kne, nef, nef_header, program_envelope
from modelbuild.formats.nef_build import SCHEMA
from modelbuild.formats.nef_header import ModelInfo, NefFile, NefHeader
from modelbuild.formats.nef_objects import Nef


def generated(
    platform: str, all_models: bytes, firmware_info: bytes = b"", *, own_toolchain: str, toolchain: str = ""
) -> Nef:
    """The file for `platform` ("720" for instance) with these binaries; `all_models` is a KNE block where
    there is no fw_info.

    What only the outer file said is lost: names, and versions of KNE models. `own_toolchain` is what the
    header names for programs of modelbuild's, `toolchain` for others. Errors: ModelbuildError for binaries
    that cannot be read, are of several makers, or do not belong together.
    """
    commands, infos = _commands_and_infos(all_models, firmware_info)
    own = {program_envelope.is_wrapped(command) for command in commands}
    if len(own) > 1:
        raise ModelbuildError(
            "programs of modelbuild's and of a vendor's lie in one binary", advice="one NEF has one kind"
        )
    checksum = zlib.crc32(all_models)
    header = NefHeader(
        platform="",
        target=nef_header.target_number(platform, SCHEMA),
        crc=checksum,
        kn_number=0,
        encryption_mode=0,
        compiler_version="",
        toolchain_version=own_toolchain if own == {True} else toolchain,
        schema=SCHEMA,
        uuid=checksum,
    )
    made = nef.read(nef_header.seal(NefFile(header, infos, firmware_info, all_models, None)))
    nef.check(made)
    wrong = [check for check in made.checks if not check.ok]
    if wrong:
        raise ModelbuildError(
            "the binaries do not belong together or to this chip",
            why="; ".join(f"{check.what}: {check.why}" for check in wrong),
            advice="name the fw_info.bin and all_models.bin of one file, and its chip",
        )
    return made


def _commands_and_infos(all_models: bytes, firmware_info: bytes) -> tuple[list[bytes], tuple[ModelInfo, ...]]:
    if firmware_info:
        info = fw_info.decode(firmware_info)
        sections = [
            fw_info.section(record.command, info.records, all_models, "command") for record in info.records
        ]
        return sections, tuple(ModelInfo("", record.id, str(record.version)) for record in info.records)
    models = kne.decode(all_models).models
    commands = [model.units[0][0] if model.units else b"" for model in models]
    return commands, tuple(ModelInfo("", model.id, "0000") for model in models)
