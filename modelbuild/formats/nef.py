"""NEF, the package of Kneron's chips: read every generation, check every checksum, write it back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, kne, nef_header, program_envelope, setup_flatbuffer, setup_legacy
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.fw_info import FirmwareInfo, Record
from modelbuild.formats.nef_build import NefSource, build
from modelbuild.formats.nef_header import ModelInfo, NefFile
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.setup_legacy import CpuNode

__all__ = ["Checksum", "CpuNode", "Nef", "NefModel", "NefSource", "NefTensor", "build", "read", "write"]


@dataclass(frozen=True)
class Checksum:
    """One stored CRC-32 beside the one computed from the bytes."""

    what: str
    stored: int
    computed: int

    @property
    def ok(self) -> bool:
        """Whether they agree."""
        return self.stored == self.computed


@dataclass(frozen=True)
class NefModel:
    """One model in a file.

    `command` is the NPU's command stream; where the file is modelbuild's own, it is unpacked from the
    envelope and `host` is the code for the CPU. `regions` are its DRAM regions (None in KNE files).
    `inputs` and `outputs` are empty where the file is encrypted.
    """

    id: int
    version: int | None
    name: str | None
    command: bytes
    weight: bytes
    host: bytes
    setup: bytes
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    cpu_nodes: tuple[CpuNode, ...]
    regions: Record | None
    npu_units: int = 1


@dataclass(frozen=True)
class Nef:
    """A file as read. `file` is the outer file as it was, from which `write` makes the same bytes."""

    file: NefFile
    generation: str  # legacy520 | legacy720 | flatbuffer | kne
    models: tuple[NefModel, ...]
    checksums: tuple[Checksum, ...]
    firmware_info: FirmwareInfo | None

    @property
    def target(self) -> str:
        """The chip, "kl720" for instance, or "unknown (n)" for a number no schema has."""
        chip = self.file.header.chip
        return f"unknown ({self.file.header.target})" if chip is None else f"kl{chip}"

    @property
    def toolchain_version(self) -> str:
        """What made the file; `modelbuild/x` marks a program for the simulator, not for silicon."""
        return (self.file.header.toolchain_version or "").strip()

    @property
    def compiler_version(self) -> str:
        """The compiler inside the toolchain."""
        return (self.file.header.compiler_version or "").strip()

    @property
    def schema_version(self) -> str:
        """The outer file's schema, "1.0.1" for instance; empty where the file has none."""
        return "" if self.file.header.schema is None else ".".join(map(str, self.file.header.schema))

    @property
    def encrypted(self) -> bool:
        """Whether the header says that the binaries are encrypted."""
        return self.file.header.encryption_mode != 0

    @property
    def silicon(self) -> bool:
        """False for modelbuild's own programs."""
        return not self.toolchain_version.startswith("modelbuild/")


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
        models = _kne_models(file)
        return Nef(file, "kne", models, tuple(checksums), None)
    info = fw_info.decode(file.firmware_info)
    checksums += _firmware_checksums(info, file)
    generation, models = _firmware_models(info, file)
    return Nef(file, generation, models, tuple(checksums), info)


def write(nef: Nef) -> bytes:
    """The bytes of the file. For a file as it was read, they are the same bytes."""
    return nef_header.encode(nef.file)


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
    names = {entry.id: entry.name for entry in file.infos or ()}
    models = [_firmware_model(record, info, file, generation, names) for record in info.records]
    return generation, tuple(models)


def _generation(info: FirmwareInfo, file: NefFile) -> str:
    setup = fw_info.section(info.records[0].setup, info.records, file.all_models, "setup")
    chip = file.header.chip
    if setup[:4] == setup_legacy.MAGIC.to_bytes(4, "little"):
        return f"legacy{chip}"
    if file.header.encryption_mode:
        return "legacy520" if chip == "520" else "flatbuffer"
    return "flatbuffer"


def _firmware_model(
    record: Record, info: FirmwareInfo, file: NefFile, generation: str, names: dict[int, str | None]
) -> NefModel:
    command = fw_info.section(record.command, info.records, file.all_models, "command")
    weight = fw_info.section(record.weight, info.records, file.all_models, "weight")
    setup = fw_info.section(record.setup, info.records, file.all_models, "setup")
    inputs, outputs, nodes = _setup(setup, file, generation)
    program, host = (
        program_envelope.unwrap(command) if program_envelope.is_wrapped(command) else (command, b"")
    )
    name = names.get(record.id)
    return NefModel(
        record.id, record.version, name, program, weight, host, setup, inputs, outputs, nodes, record
    )


def _setup(
    setup: bytes, file: NefFile, generation: str
) -> tuple[tuple[NefTensor, ...], tuple[NefTensor, ...], tuple[CpuNode, ...]]:
    if file.header.encryption_mode:
        return (), (), ()
    if generation == "flatbuffer":
        block = setup_flatbuffer.decode(setup)
        return block.inputs, block.outputs, block.cpu_nodes
    legacy = setup_legacy.decode(setup, generation.removeprefix("legacy"))
    return legacy.inputs, legacy.outputs, legacy.cpu_nodes


def _kne_models(file: NefFile) -> tuple[NefModel, ...]:
    entries = {entry.id: entry for entry in file.infos or ()}
    if file.header.encryption_mode:
        return tuple(_named(entry) for entry in entries.values())
    return tuple(_kne_model(model, entries.get(model.id)) for model in kne.decode(file.all_models).models)


def _named(entry: ModelInfo) -> NefModel:
    return NefModel(entry.id, _hexadecimal(entry), entry.name, b"", b"", b"", b"", (), (), (), None, 0)


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
    )


def _hexadecimal(entry: ModelInfo) -> int | None:
    """The version of a KNE model, which the list of models holds in hexadecimal."""
    try:
        return int(entry.version or "", 16)
    except ValueError:
        return None


def check(nef: Nef, where: str = "") -> None:
    """Raise ModelbuildError naming every checksum that does not agree; `where` is what it calls the file."""
    wrong = [item for item in nef.checksums if not item.ok]
    if wrong:
        listed = ", ".join(
            f"{item.what} (stored {item.stored:08x}, computed {item.computed:08x})" for item in wrong
        )
        raise ModelbuildError("the NEF is damaged: checksums do not agree", where=where, why=listed)
