"""What a NEF holds, whatever its generation."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.formats import kne
from modelbuild.formats.checks import Check
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.fw_info import FirmwareInfo, Record
from modelbuild.formats.nef_header import ModelInfo, NefFile
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.setup_flatbuffer import FlatbufferSetup
from modelbuild.formats.setup_legacy import CpuNode, LegacySetup


@dataclass(frozen=True)
class NefModel:
    """One model in a file.

    `command` is the NPU's command stream; where the file is modelbuild's own, it is unpacked from the
    envelope and `host` is the code for the CPU. `regions` are its DRAM regions (None in KNE files).
    `inputs` and `outputs` are empty where the file is encrypted so that they cannot be read. `block` is all
    that the setup block says, or the KNE block of this model; `listed` its entry in the list of models.
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
    block: FlatbufferSetup | LegacySetup | kne.KneModel | None = None
    listed: ModelInfo | None = None


@dataclass(frozen=True)
class Nef:
    """A file as read. `file` is the outer file as it was, from which `write` makes the same bytes; `kne` the
    block of a file of that generation, without its models' own."""

    file: NefFile
    generation: str  # legacy520 | legacy720 | flatbuffer | kne
    models: tuple[NefModel, ...]
    checksums: tuple[Checksum, ...]
    firmware_info: FirmwareInfo | None
    kne: kne.Kne | None = None
    checks: tuple[Check, ...] = ()

    @property
    def chip(self) -> str | None:
        """The platform, "720" for instance. Where the vendor's reading of the target number and the order of
        versions differ, what is inside the file decides, if it says what the latter does."""
        usual, ordered = self.file.header.chips
        return ordered if ordered != usual and ordered in self.chips_inside() else usual

    @property
    def target(self) -> str:
        """The chip, "kl720" for instance, or "unknown (n)" for a number no schema has."""
        return f"unknown ({self.file.header.target})" if self.chip is None else f"kl{self.chip}"

    def chips_inside(self) -> set[str | None]:
        """The platforms that setup blocks and the KNE block name."""
        blocks = [model.block for model in self.models]
        named: set[str | None] = {block.chip for block in blocks if isinstance(block, FlatbufferSetup)}
        return (named | ({self.kne.chip} if self.kne else set())) - {None}

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
